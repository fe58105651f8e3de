// Verifies access tokens with the npm package `jose`, as a service of somebody else would: it knows the issuer alone.
// Arguments: issuer, audience, algorithm. Standard input: a JSON list of tokens. Standard output: a JSON list of what
// became of each, {"payload": ..., "header": ...} or {"error": the code of jose's error}.

import { webcrypto } from "node:crypto";
import { text } from "node:stream/consumers";
import { createRemoteJWKSet, jwtVerify } from "jose";

// Node.js 18, which Debian 12 has, keeps it off the global object, where jose looks for it.
globalThis.crypto ??= webcrypto;

const [issuer, audience, algorithm] = process.argv.slice(2);
const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
const rules = {
  issuer,
  audience,
  typ: "at+jwt",
  algorithms: [algorithm],
  requiredClaims: ["sub", "iat", "nbf", "exp", "jti", "sid"],
};

const outcomes = [];
for (const token of JSON.parse(await text(process.stdin))) {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys, rules);
    outcomes.push({ payload, header: protectedHeader });
  } catch (error) {
    outcomes.push({ error: error.code ?? String(error) });
  }
}
console.log(JSON.stringify(outcomes));
