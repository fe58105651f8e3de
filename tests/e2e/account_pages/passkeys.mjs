// Passkeys with the true API: Chromium's virtual authenticator stands in for a phone or a security key.
import assert from "node:assert/strict";
import { alerted, heading, press, settings, test } from "./browser.mjs";

const PASSWORD = "correct horse battery staple";
const here = settings.optional.replace("127.0.0.1", "localhost");
const elsewhere = settings.required.replace("127.0.0.1", "localhost");
let users = 0;

/** Open a page of this server with a virtual authenticator, and return what controls it. */
async function withAuthenticator(page, options = {}) {
  await page.goto(`${here}/account/login`);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true, ...options,
    },
  });
  return (method, parameters = {}) => cdp.send(`WebAuthn.${method}`, { authenticatorId, ...parameters });
}

/** Send a request to the API, from no page. */
async function call(page, path, data, token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await page.request.post(`${here}/api/v1/${path}`, { data, headers });
  return { status: response.status(), body: await response.json() };
}

/** Register a user, and return an access token. */
async function newcomer(page) {
  const username = `passkey${users++}`;
  await call(page, "auth/register", { username, email: `${username}@example.com`, password: PASSWORD });
  const { body } = await call(page, "auth/login", { username, password: PASSWORD });
  return { username, token: body.access_token };
}

async function add(page, token) {
  const { body: options } = await call(page, "users/me/passkeys/challenges", {}, token);
  const credential = await page.evaluate(async (json) => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(json);
    return (await navigator.credentials.create({ publicKey })).toJSON();
  }, options);
  return call(page, "users/me/passkeys", { challenge_id: options.challenge_id, name: "A key", credential }, token);
}

async function answer(page, options) {
  return page.evaluate(async (json) => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(json);
    return (await navigator.credentials.get({ publicKey })).toJSON();
  }, options);
}

/** Log in with a passkey; `change` changes what the page asks the authenticator for. */
async function logIn(page, change = (options) => options) {
  const { body: options } = await call(page, "auth/passkey-challenges", {});
  const credential = await answer(page, change(options));
  return call(page, "auth/passkey-logins", { challenge_id: options.challenge_id, credential });
}

const claims = (pair) => JSON.parse(Buffer.from(pair.access_token.split(".")[1], "base64url"));

test("a passkey is added, and logs in without a name", async ({ page }) => {
  await withAuthenticator(page);
  const { token } = await newcomer(page);
  const added = await add(page, token);
  assert.equal(added.status, 201, JSON.stringify(added.body));
  const { status, body } = await logIn(page);
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(claims(body).amr, ["hwk", "user", "mfa"]);
  assert.equal(claims(body).sub, claims({ access_token: token }).sub);
});

test("the page that logs in with a mail takes a passkey", async ({ page, api }) => {
  await api.real();
  await withAuthenticator(page);
  await add(page, (await newcomer(page)).token);
  await press(page, "Log in with a passkey");
  await heading(page, "The login worked");
  assert.deepEqual(await page.evaluate(() => ({ ...localStorage, ...sessionStorage })), {});
});

test("the page says when no passkey was used, and when one is not accepted", async ({ page, api }) => {
  await api.real();
  const authenticator = await withAuthenticator(page);
  const { token } = await newcomer(page);
  const { body } = await add(page, token);
  await page.request.delete(`${here}/api/v1/users/me/passkeys/${body.id}`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  await press(page, "Log in with a passkey");
  await alerted(page, "This passkey was not accepted.");
  await authenticator("setUserVerified", { isUserVerified: false });
  await press(page, "Log in with a passkey");
  await alerted(page, "No passkey was used.");
});

test("the page offers no passkey at an address that may not use it", async ({ page }) => {
  await page.goto(`${settings.optional}/account/login`);
  await heading(page, "Log in with a mail");
  assert.equal(await page.getByRole("button", { name: "Log in with a passkey" }).count(), 0);
});

test("a passkey completes a login with a password", async ({ page }) => {
  await withAuthenticator(page);
  const { username, token } = await newcomer(page);
  await add(page, token);
  const { status, body } = await call(page, "auth/login", { username, password: PASSWORD });
  assert.equal(status, 401);
  assert.ok(body.factors.includes("passkey"), JSON.stringify(body));
  const step = { challenge: body.challenge, factor: "passkey" };
  const { body: options } = await call(page, "auth/second-factors", step);
  const pair = await call(page, "auth/second-factors", { ...step, credential: await answer(page, options) });
  assert.equal(pair.status, 200, JSON.stringify(pair.body));
  assert.equal(claims(pair.body).amr[0], "pwd");
  assert.ok(claims(pair.body).amr.includes("mfa"));
});

test("a user who is not verified is refused", async ({ page }) => {
  const authenticator = await withAuthenticator(page);
  await add(page, (await newcomer(page)).token);
  await authenticator("setUserVerified", { isUserVerified: false });
  const { status, body } = await logIn(page, (options) => ({ ...options, userVerification: "discouraged" }));
  assert.deepEqual([status, body.code], [401, "passkey_invalid"]);
});

test("a page of another origin is refused, though its domain is the same", async ({ page }) => {
  await withAuthenticator(page);
  await add(page, (await newcomer(page)).token);
  await page.goto(`${elsewhere}/account/login`);
  const { status, body } = await logIn(page);
  assert.deepEqual([status, body.code], [401, "passkey_invalid"]);
  await page.goto(`${here}/account/login`);
  assert.equal((await logIn(page)).status, 200);
});

/** Put the passkey back to an earlier count, as a copy of it would have. */
async function rewind(authenticator, signCount) {
  const { credentials: [credential] } = await authenticator("getCredentials");
  await authenticator("removeCredential", { credentialId: credential.credentialId });
  await authenticator("addCredential", { credential: { ...credential, signCount } });
}

test("a copy of a passkey of one device is refused", async ({ page }) => {
  const authenticator = await withAuthenticator(page);
  await add(page, (await newcomer(page)).token);
  for (let time = 0; time < 3; time++) assert.equal((await logIn(page)).status, 200);
  await rewind(authenticator, 1);
  assert.equal((await logIn(page)).status, 401);
  await rewind(authenticator, 1_000);
  assert.equal((await logIn(page)).status, 200);
});

test("a synced passkey that counts anew on each device is accepted", async ({ page }) => {
  const authenticator = await withAuthenticator(page, { defaultBackupEligibility: true, defaultBackupState: true });
  await add(page, (await newcomer(page)).token);
  for (let time = 0; time < 3; time++) {
    const { status, body } = await logIn(page);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(claims(body).amr, ["swk", "user", "mfa"]);
    await rewind(authenticator, 0);
  }
});

test("a forged signature is refused", async ({ page }) => {
  const authenticator = await withAuthenticator(page);
  await add(page, (await newcomer(page)).token);
  await authenticator("setResponseOverrideBits", { isBogusSignature: true });
  assert.equal((await logIn(page)).status, 401);
  await authenticator("setResponseOverrideBits", { isBogusSignature: false, isBadUP: true });
  assert.equal((await logIn(page)).status, 401);
});
