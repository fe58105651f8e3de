// A program of somebody else with the npm package `oauth4webapi`, which has an API key.
// Standard input: {"issuer", "prefix", "key", "audience", "wrong" (another secret)}.
// Standard output: {"granted", "validated" (its claims), "introspected", "revoked", "refused"}.

import { webcrypto } from "node:crypto";
import { text } from "node:stream/consumers";
import * as oauth from "oauth4webapi";

// Node.js 18, which Debian 12 has, keeps it off the global object, where the library looks for it.
globalThis.crypto ??= webcrypto;

const given = JSON.parse(await text(process.stdin));
const http = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(given.issuer);
const found = await oauth.discoveryRequest(issuer, { ...http, algorithm: "oauth2" });
const metadata = await oauth.processDiscoveryResponse(issuer, found);
const client = { client_id: given.prefix };
const secret = oauth.ClientSecretBasic(given.key);

async function granted(authentication) {
  const parameters = { scope: "tokens:introspect" };
  const response = await oauth.clientCredentialsGrantRequest(metadata, client, authentication, parameters, http);
  return oauth.processClientCredentialsResponse(metadata, client, response);
}

async function introspected(token) {
  const response = await oauth.introspectionRequest(metadata, client, secret, token, http);
  return oauth.processIntrospectionResponse(metadata, client, response);
}

const grant = await granted(secret);
const token = grant.access_token;
const request = new Request(given.issuer, { headers: { authorization: `Bearer ${token}` } });
const validated = await oauth.validateJwtAccessToken(metadata, request, given.audience, http);
const before = await introspected(token);
await oauth.processRevocationResponse(await oauth.revocationRequest(metadata, client, secret, token, http));
const revoked = await introspected(token);
let refused;
try {
  refused = await granted(oauth.ClientSecretBasic(given.wrong));
} catch (error) {
  refused = { error: error.code ?? String(error), status: error.status };
}
console.log(JSON.stringify({ granted: grant, validated, introspected: before, revoked, refused }));
