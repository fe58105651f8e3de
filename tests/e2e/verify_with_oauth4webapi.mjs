// A service of somebody else with the npm package `oauth4webapi`, which knows the issuer and an account of its own.
// Standard input: {"issuer", "audience", "algorithm" (oauth2 or oidc: where the metadata is looked for), "username",
// "password", "tokens" (access tokens to validate and to introspect), "revoke" (a token of the account)}.
// Standard output: {"metadata", "validated", "introspected", "revoked", "challenges"}; in place of what failed stands
// {"error": the code of the library's error}.

import { webcrypto } from "node:crypto";
import { text } from "node:stream/consumers";
import * as oauth from "oauth4webapi";

// Node.js 18, which Debian 12 has, keeps it off the global object, where the library looks for it.
globalThis.crypto ??= webcrypto;

const given = JSON.parse(await text(process.stdin));
const http = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(given.issuer);
const found = await oauth.discoveryRequest(issuer, { ...http, algorithm: given.algorithm });
const metadata = await oauth.processDiscoveryResponse(issuer, found);

// Its client_id goes into Basic and into the form.
const client = { client_id: given.username };
const secret = oauth.ClientSecretBasic(given.password);

async function outcome(work) {
  try {
    return await work();
  } catch (error) {
    return { error: error.code ?? String(error) };
  }
}

async function introspect(token, authentication = secret) {
  const response = await oauth.introspectionRequest(metadata, client, authentication, token, http);
  return oauth.processIntrospectionResponse(metadata, client, response);
}

const validated = [];
const introspected = [];
for (const token of given.tokens) {
  const request = new Request(given.issuer, { headers: { authorization: `Bearer ${token}` } });
  validated.push(await outcome(() => oauth.validateJwtAccessToken(metadata, request, given.audience, http)));
  introspected.push(await outcome(() => introspect(token)));
}

const revoked = await outcome(async () => {
  const response = await oauth.revocationRequest(metadata, client, secret, given.revoke, http);
  await oauth.processRevocationResponse(response);
  return introspect(given.revoke);
});

let challenges = [];
try {
  await introspect(given.tokens[0], oauth.ClientSecretBasic("not the password"));
} catch (error) {
  challenges = error.cause?.map?.(({ scheme, parameters }) => [scheme, parameters.realm]) ?? String(error);
}

console.log(JSON.stringify({ metadata, validated, introspected, revoked, challenges }));
