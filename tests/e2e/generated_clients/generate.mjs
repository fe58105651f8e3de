// Generates TypeScript clients from an OpenAPI document: node generate.mjs DOCUMENT FOLDER BASE_URL
import { createClient } from "@hey-api/openapi-ts";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import { generate } from "orval";

const [document, folder, baseUrl] = process.argv.slice(2);

mkdirSync(`${folder}/openapi_typescript`, { recursive: true });
const types = await openapiTS(readFileSync(document, "utf8"));
writeFileSync(`${folder}/openapi_typescript/schema.d.ts`, astToString(types));

await createClient({
  input: document,
  output: `${folder}/hey_api`,
  logs: { level: "error" },
  plugins: ["@hey-api/client-fetch", "zod", { name: "@hey-api/sdk", validator: true }],
});

const input = { target: document };
await generate({ input, output: { target: `${folder}/orval/client.ts`, client: "fetch", baseUrl } });
await generate({ input, output: { target: `${folder}/orval/zod.ts`, client: "zod" } });
