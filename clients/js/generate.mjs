// Prints the types of an OpenAPI document in a file. `make client` writes them into src/schema.ts.
import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

// Words and versions are left out: the file changes when a type does.
const WORDS = new Set(["description", "summary", "title", "example", "examples", "externalDocs"]);

function withoutWords(value, isNames = false) {
  if (Array.isArray(value)) return value.map((each) => withoutWords(each));
  if (value === null || typeof value !== "object") return value;
  const kept = Object.entries(value).filter(([key]) => isNames || !WORDS.has(key));
  return Object.fromEntries(kept.map(([key, each]) => [key, withoutWords(each, !isNames && NAMES.has(key))]));
}

// What the keys of these are called is up to the document.
const NAMES = new Set(["properties", "schemas", "paths", "responses", "parameters", "headers", "securitySchemes"]);

const { info: _info, ...document } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const types = await openapiTS({ info: { title: "authapp", version: "0" }, ...withoutWords(document) }, { alphabetize: true });
process.stdout.write(`// Generated from the OpenAPI document by \`make client\`: do not edit.\n${astToString(types)}`);
