// Lints an OpenAPI document with the rules of Spectral and Redocly, and compiles its patterns: node lint.mjs DOCUMENT
import { createConfig, lint } from "@redocly/openapi-core";
import spectral from "@stoplight/spectral-core";
import rulesets from "@stoplight/spectral-rulesets";
import { readFileSync } from "node:fs";

const [path] = process.argv.slice(2);
const text = readFileSync(path, "utf8");
const found = [];

const linter = new spectral.Spectral();
// Nobody is named as a contact; the operator of a service is.
linter.setRuleset({ extends: [rulesets.oas], rules: { "info-contact": "off" } });
for (const { code, path: at, message } of await linter.run(text)) {
  found.push(`Spectral: ${code} at ${at.join("/")}: ${message}`);
}

// Some operations, such as the health checks, have nothing to refuse.
const config = await createConfig({ extends: ["recommended"], rules: { "operation-4xx-response": "off" } });
for (const { ruleId, location, message } of await lint({ ref: path, config })) {
  found.push(`Redocly: ${ruleId} at ${location[0]?.pointer}: ${message}`);
}

JSON.parse(text, (key, value) => {
  if (key === "pattern" && typeof value === "string") {
    try {
      new RegExp(value, "u");
    } catch (error) {
      found.push(`ECMAScript: ${error.message}`);
    }
  }
  return value;
});

console.log(found.join("\n"));
process.exitCode = found.length ? 1 : 0;
