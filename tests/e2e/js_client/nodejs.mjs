// The client in Node.js, against the true server.
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { settings } from "./browser.mjs";
import { answer, drop, hold, LOCAL, lose, newcomer, PASSWORD, plan, refuse, sent, unplan, withApp } from "./front.mjs";
import { runAll, test } from "./plain.mjs";

const { AuthError, createClient } = await import(pathToFileURL(`${settings.site}/clients/js/dist/index.js`));
const ME = "/api/v1/users/me", PING = "/api/v1/ping", REFRESH = "/api/v1/auth/refresh";
const HOUR = 3_600_000;

/** A storage that clients may share, as tabs do. */
class Shared extends Map {
  getItem(key) { return this.get(key) ?? null; }
  setItem(key, value) { this.set(key, value); }
  removeItem(key) { this.delete(key); }
  get token() { return [...this.values()][0]; }
}

async function loggedIn(storage = new Shared()) {
  const client = createClient({ baseUrl: LOCAL, storage });
  const out = [];
  client.onLoggedOut((reason) => out.push(reason?.code ?? "logout"));
  client.onSessionChanged?.(() => out.push("changed"));
  const user = await newcomer();
  await client.login(user);
  sent();
  return { client, out, storage, user };
}

const endSession = (token) => fetch(`${LOCAL}/api/v1/auth/logout`, { method: "POST", headers: { Authorization: `Bearer ${token}` } });

const now = performance.now.bind(performance);
let skipped = 0;
performance.now = () => now() + skipped;
const age = () => { skipped += HOUR; };
const paths = () => sent().map(({ path }) => path);

test("a client in memory logs in, asks, refreshes and logs out", async () => {
  const user = await newcomer();
  const client = createClient({ baseUrl: LOCAL });
  const refused = await client.login({ ...user, password: "wrong" }).catch((error) => error);
  assert.ok(refused instanceof AuthError);
  assert.deepEqual([refused.status, refused.code, refused.problem.instance], [401, "invalid_credentials", "/api/v1/auth/login"]);
  assert.equal(await client.accessToken(), undefined);
  await client.login(user);
  assert.equal((await (await client.fetch(ME)).json()).username, user.username);
  const token = await client.accessToken();
  age();
  assert.equal((await client.fetch("api/v1/users/me")).status, 200);
  assert.notEqual(await client.accessToken(), token);
  await client.logout();
  assert.equal((await client.fetch(ME)).status, 401);
  assert.equal((await fetch(`${LOCAL}${ME}`, { headers: { Authorization: `Bearer ${token}` } })).status, 401);
});

test("a second factor completes a login, and a step-up renews it", async () => {
  const { user, code } = await withApp();
  const client = createClient({ baseUrl: LOCAL, storage: new Shared() });
  const { code: refusal, problem } = await client.login(user).catch((error) => error);
  assert.equal(refusal, "second_factor_required");
  assert.equal(await client.completeLogin({ challenge: problem.challenge, factor: "totp", code: code() }), undefined);
  const token = await client.accessToken();
  await client.stepUp({ code: code() });
  assert.notEqual(await client.accessToken(), token);
  age();
  assert.equal((await client.fetch(ME)).status, 200);
});

test("other ways to log in are taken, too", async () => {
  const { client, user } = await loggedIn();
  await client.loginWith("auth/login", user);
  assert.equal((await client.fetch(ME)).status, 200);
});

test("a login that is a PUT is taken", async () => {
  const asked = [];
  const fetch = async (request) => {
    asked.push(`${request.method} ${new URL(request.url).pathname}`);
    return Response.json({ access_token: "a", refresh_token: "r", expires_in: 900 });
  };
  const client = createClient({ baseUrl: LOCAL, fetch });
  await client.loginWith("auth/login-links", { challenge: "c", token: "t" }, { method: "PUT" });
  assert.deepEqual(asked, ["PUT /api/v1/auth/login-links"]);
  assert.equal(await client.accessToken(), "a");
});

test("a login without tokens in the answer is an error, and so is a refresh, which is not repeated", async () => {
  const { client, user } = await loggedIn();
  for (const path of ["auth/login", "auth/step-ups", "auth/refresh"]) plan(path, answer(200, {}));
  const stepUp = { password: PASSWORD };
  for (const run of [() => client.login(user), () => client.loginWith("auth/login", user), () => client.stepUp(stepUp)]) {
    await assert.rejects(run(), /has no tokens/);
  }
  sent();
  age();
  await assert.rejects(client.accessToken(), /has no tokens/);
  assert.deepEqual(paths(), [REFRESH]);
});

test("a logout that the server could not do is an error, also if nobody seems to be logged in", async () => {
  const problem = { status: 401, headers: { "Content-Type": "application/problem+json" } };
  const fetch = async ({ url }) =>
    url.endsWith("/refresh") ? new Response(JSON.stringify({ code: "token_missing" }), problem) : new Response(null, { status: 503 });
  const client = createClient({ baseUrl: LOCAL, storage: "cookie", fetch });
  assert.equal(await client.accessToken(), undefined);
  await assert.rejects(client.logout(), { status: 503 });
});

test("a refusal that is no expiry is returned, and not repeated", async () => {
  const { client, out } = await loggedIn();
  for (const code of ["step_up_required", "fresh_token_required", "token_missing"]) {
    plan("ping", refuse(401, code));
    const response = await client.fetch(PING);
    assert.equal((await response.json()).code, code, "its body is there to be read");
    assert.deepEqual(paths(), [PING]);
  }
  plan("ping", refuse(401, "token_invalid"));
  assert.equal((await client.fetch(PING)).status, 401);
  assert.deepEqual(paths(), [PING, REFRESH], "the refresh tells whether the session is over");
  assert.deepEqual(out, []);
});

test("a server that always says that the token has expired, or was revoked, is asked twice", async () => {
  const { client, out } = await loggedIn();
  for (const code of ["token_revoked", "token_expired"]) {
    plan("ping", refuse(401, code));
    assert.equal((await (await client.fetch(PING)).json()).code, code);
    assert.deepEqual(paths(), [PING, REFRESH, PING]);
    assert.deepEqual(out, []);
  }
  plan("auth/refresh", refuse(401, "token_expired"));
  assert.equal((await client.fetch(PING)).status, 401);
  assert.deepEqual(paths(), [PING, REFRESH]);
  assert.deepEqual(out, ["token_expired"]);
});

test("each refusal that ends a session logs out, and no other does", async () => {
  for (const code of ["token_invalid", "token_expired", "token_revoked", "refresh_token_reused"]) {
    const { client, out, storage } = await loggedIn();
    plan("auth/refresh", refuse(401, code));
    age();
    assert.equal((await client.fetch(PING)).status, 401);
    assert.deepEqual([out, storage.size], [[code], 0]);
  }
  const { client, out, storage } = await loggedIn();
  age();
  for (const action of [refuse(429, "too_many_requests"), refuse(403, "origin_not_allowed"), answer(401, {}), answer(200, {}), lose, drop]) {
    plan("auth/refresh", action);
    await assert.rejects(client.fetch(PING));
  }
  plan("auth/refresh", answer(429, { code: "too_many_requests" }, { "Retry-After": "7" }));
  assert.equal((await client.accessToken().catch((error) => error)).retryAfter, 7);
  assert.deepEqual([out, storage.size], [[], 1]);
});

test("a body that can be sent once alone is not sent twice", async () => {
  const { client } = await loggedIn();
  const bodies = {
    text: ["hello", 2], form: [new URLSearchParams({ a: "hello" }), 2], bytes: [new TextEncoder().encode("hello"), 2],
    stream: [new Blob(["hello"]).stream(), 1], pieces: [(async function* () { yield new TextEncoder().encode("hello"); })(), 1],
  };
  for (const [name, [body, times]] of Object.entries(bodies)) {
    plan("ping", refuse(401, "token_expired"), 1);
    const response = await client.fetch(PING, { method: "POST", body, duplex: "half" });
    assert.equal(response.status, times === 2 ? 405 : 401, name);
    const pings = sent(PING);
    assert.deepEqual(pings.map((each) => each.body.endsWith("hello")), Array(times).fill(true), name);
  }
  plan("ping", refuse(401, "token_expired"), 1);
  await client.fetch(new Request(`${LOCAL}${PING}`, { method: "POST", body: "of a request" }));
  assert.deepEqual(sent(PING).map(({ body }) => body), ["of a request", "of a request"]);
});

test("the token goes to no other origin, and over no redirect", async () => {
  const { client } = await loggedIn();
  const elsewhere = LOCAL.replace("127.0.0.1", "localhost");
  await client.fetch(`${elsewhere}/direct`);
  await client.fetch(new Request(`${elsewhere}/request`));
  plan("ping", answer(307, {}, { Location: `${elsewhere}/redirected` }), 1);
  await client.fetch(PING);
  await client.fetch(PING, { headers: { Authorization: "Bearer of-another" } });
  const tokens = sent().map(({ path, token }) => [path, token?.slice(0, 9)]);
  assert.deepEqual(tokens, [
    ["/direct", undefined], ["/request", undefined], [PING, "Bearer ey"], ["/redirected", undefined], [PING, "Bearer of"],
  ]);
});

test("however many requests wait, a refresh that fails is tried once more, and not for each", async () => {
  const { client } = await loggedIn();
  age();
  plan("auth/refresh", drop);
  const waiting = await Promise.allSettled([1, 2, 3, 4, 5].map(() => client.fetch(PING)));
  assert.deepEqual(waiting.map(({ status }) => status), Array(5).fill("rejected"));
  assert.deepEqual(paths(), [REFRESH, REFRESH]);
});

test("a request during a login waits for it, and refreshes nothing", async () => {
  const user = await newcomer();
  const client = createClient({ baseUrl: LOCAL, storage: new Shared() });
  const login = client.login(user);
  assert.equal((await client.fetch(PING)).status, 200);
  await login;
  assert.deepEqual(paths(), ["/api/v1/auth/login", PING]);
});

/** Start a request of another client, and hold the answer to its refresh. */
async function holdingUp(storage) {
  const other = createClient({ baseUrl: LOCAL, storage });
  let release;
  plan("auth/refresh", hold(new Promise((resolve) => { release = resolve; })), 1);
  const late = other.fetch(PING);
  while (sent(REFRESH).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  return { other, late, release };
}

test("the late answer of one tab does not bring back what another has exchanged", async () => {
  const { client, storage } = await loggedIn();
  const { other, late, release } = await holdingUp(storage);
  for (let round = 0; round < 3; round++) {
    age();
    assert.equal((await client.fetch(PING)).status, 200);
  }
  const newest = storage.token;
  release();
  assert.equal((await late).status, 200);
  assert.equal(storage.token, newest);
  age();
  assert.deepEqual([(await other.fetch(PING)).status, (await client.fetch(PING)).status], [200, 200]);
});

test("the late answer of one tab does not bring back a session that was left", async () => {
  const { client, storage } = await loggedIn();
  const { other, late, release } = await holdingUp(storage);
  await client.logout();
  release();
  assert.equal((await late).status, 401);
  assert.equal(storage.size, 0);
});

test("a token that another tab has replaced with one of a new login is no logout", async () => {
  const { client, out, storage, user } = await loggedIn();
  let release;
  plan("auth/refresh", (request, response) => void release.then(() => refuse(401, "token_revoked")(request, response)), 1);
  release = createClient({ baseUrl: LOCAL, storage }).login(user);
  age();
  assert.equal((await client.fetch(PING)).status, 200);
  assert.deepEqual(out, ["changed"]);
});

const RENAME = { method: "PATCH", body: '{"username":"ada"}', headers: { "Content-Type": "application/json" } };
const nameIn = async (response) => (await response.json()).username;

test("the request of one person is not sent again as another, who has logged in in another tab", async () => {
  for (const code of ["token_expired", "token_revoked"]) {
    const { client, out, storage } = await loggedIn();
    const other = await newcomer();
    await createClient({ baseUrl: LOCAL, storage }).login(other);
    sent();
    plan("users/me", refuse(401, code), 1);
    const response = await client.fetch(ME, RENAME);
    assert.deepEqual([response.status, (await response.json()).code], [401, code]);
    assert.deepEqual([paths(), out], [[ME, REFRESH], ["changed"]]);
    assert.equal(await nameIn(await client.fetch(ME)), other.username);
    assert.deepEqual(out, ["changed"], "it is told once");
  }
});

test("the request of one person is not sent as another because its token had to be renewed first", async () => {
  const { client, out, storage, user } = await loggedIn();
  const other = await newcomer();
  await createClient({ baseUrl: LOCAL, storage }).login(other);
  age();
  assert.equal(await nameIn(await client.fetch(ME)), user.username);
  assert.deepEqual(out, ["changed"]);
  assert.equal(await nameIn(await client.fetch(ME)), other.username);
});

test("a request that was on its way during a step-up is sent again", async () => {
  const { client, out } = await loggedIn();
  let arrive;
  const gate = new Promise((resolve) => { arrive = resolve; });
  plan("ping", (...call) => void gate.then(() => hold(Promise.resolve())(...call)), 1);
  const late = client.fetch(PING);
  await client.stepUp({ password: PASSWORD });
  arrive();
  assert.equal((await late).status, 200);
  assert.deepEqual([paths(), out], [[PING, "/api/v1/auth/step-ups", PING], []]);
});

test("a logout after a lost refresh ends the session, and one that reaches nobody does not", async () => {
  const { client, out, storage, user } = await loggedIn();
  const token = await client.accessToken();
  for (const action of [drop, refuse(503, "service_unavailable"), refuse(401, "token_invalid"), answer(401, {})]) {
    plan("auth/logout", action);
    await assert.rejects(client.logout());
    assert.deepEqual([out, storage.size], [[], 1]);
  }
  age();
  plan("auth/refresh", lose, 2);
  await assert.rejects(client.fetch(PING));
  unplan("auth/logout");
  await client.logout();
  assert.deepEqual([out, storage.size], [["logout"], 0]);
  const refused = await fetch(`${LOCAL}${PING}`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal((await refused.json()).code, "token_revoked", user.username);
});

test("a logout is of the login that another tab has made since, too", async () => {
  const { client, out, storage, user } = await loggedIn();
  const other = createClient({ baseUrl: LOCAL, storage });
  await other.logout();
  await other.login(user);
  const token = await other.accessToken();
  await client.logout();
  assert.deepEqual([out, storage.size], [["changed", "logout"], 0]);
  const refused = await fetch(`${LOCAL}${PING}`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal((await refused.json()).code, "token_revoked");
});

test("a logout leaves the login that another tab makes before the answer is here", async () => {
  const { client, storage } = await loggedIn();
  const other = createClient({ baseUrl: LOCAL, storage });
  const user = await newcomer();
  let answered;
  plan("auth/logout", hold(new Promise((resolve) => { answered = resolve; })), 1);
  const leaving = client.logout();
  while (sent("/api/v1/auth/logout").length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await other.login(user);
  const token = storage.token;
  answered();
  await leaving;
  assert.equal(storage.token, token);
  assert.equal((await (await other.fetch(ME)).json()).username, user.username);
});

test("the other sessions end, and this one goes on", async () => {
  const { client, out, user } = await loggedIn();
  const other = createClient({ baseUrl: LOCAL });
  await other.login(user);
  await client.logout({ scope: "others" });
  assert.deepEqual([(await client.fetch(PING)).status, (await other.fetch(PING)).status, out], [200, 401, []]);
});

test("a session that is over ends no other ones, and the client says so", async () => {
  for (const scope of ["others", "global"]) {
    const { client, out, user } = await loggedIn();
    const other = createClient({ baseUrl: LOCAL });
    await other.login(user);
    await endSession(await client.accessToken());
    for (let round = 0; round < 2; round++) {
      await assert.rejects(client.logout({ scope }), { code: "token_missing" });
      assert.deepEqual([(await other.fetch(PING)).status, out], [200, ["token_revoked"]]);
    }
    await client.logout();
  }
});

test("a logout ends no sessions of somebody else, who has logged in in another tab", async () => {
  for (const scope of ["others", "global"]) {
    for (const isOver of [false, true]) {
      const { client, out, storage, user } = await loggedIn();
      const [ada, bob, tab] = [createClient({ baseUrl: LOCAL }), createClient({ baseUrl: LOCAL }), createClient({ baseUrl: LOCAL, storage })];
      await ada.login(user);
      const other = await newcomer();
      await bob.login(other);
      await tab.login(other);
      if (isOver) await endSession(await client.accessToken());
      sent();
      await assert.rejects(client.logout({ scope }), /Another session has begun/);
      assert.deepEqual([paths(), out, storage.size], [[REFRESH], ["changed"], 1]);
      for (const each of [ada, bob, tab]) assert.equal((await each.fetch(PING)).status, 200, scope);
    }
  }
});

test("a logout that cannot find out whose session it is ends all of nobody, or that of its token alone", async () => {
  const { client, out, storage } = await loggedIn();
  const token = await client.accessToken();
  const tab = createClient({ baseUrl: LOCAL, storage });
  await tab.login(await newcomer());
  const stored = storage.token;
  plan("auth/refresh", refuse(503, "service_unavailable"));
  for (const scope of ["others", "global"]) await assert.rejects(client.logout({ scope }), { status: 503 });
  assert.deepEqual([sent("/api/v1/auth/logout"), out], [[], []]);
  await client.logout();
  assert.deepEqual([out, storage.token], [["logout"], stored], "what is stored is of the other session");
  assert.equal((await tab.fetch(PING)).status, 200);
  assert.equal((await fetch(`${LOCAL}${PING}`, { headers: { Authorization: `Bearer ${token}` } })).status, 401);
});

test("a logout in a session that another has replaced ends that one only if it is asked again", async () => {
  const { client, out, storage } = await loggedIn();
  await endSession(await client.accessToken());
  const tab = createClient({ baseUrl: LOCAL, storage });
  await tab.login(await newcomer());
  plan("auth/refresh", refuse(503, "service_unavailable"), 1);
  await assert.rejects(client.logout(), { code: "token_revoked" });
  assert.deepEqual([out, storage.size, (await tab.fetch(PING)).status], [["changed"], 1, 200]);
  await client.logout();
  assert.deepEqual([out, storage.size, (await tab.fetch(PING)).status], [["changed", "logout"], 0, 401]);
});

test("a logout whose answer is lost is tried again", async () => {
  const { client, out, storage } = await loggedIn();
  plan("auth/logout", lose, 1);
  await assert.rejects(client.logout(), TypeError);
  assert.deepEqual([out, storage.size], [[], 1], "it may go on, as far as is known");
  await client.logout();
  assert.deepEqual([out, storage.size], [["token_revoked"], 0]);
});

test("the proof of one person is not sent for another, who has logged in in another tab", async () => {
  const { client, out, storage } = await loggedIn();
  await createClient({ baseUrl: LOCAL, storage }).login(await newcomer());
  sent();
  age();
  await assert.rejects(client.stepUp({ password: PASSWORD }), /Another session has begun/);
  assert.deepEqual([paths(), out], [[REFRESH], ["changed"]]);
  await client.stepUp({ password: PASSWORD });
});

test("a step-up in a session that is over logs out", async () => {
  const { client, out } = await loggedIn();
  await endSession(await client.accessToken());
  await assert.rejects(client.stepUp({ password: PASSWORD }), { code: "token_revoked" });
  assert.deepEqual(out, ["token_revoked"]);
});

test("a listener that has left is not told", async () => {
  const { client, out } = await loggedIn();
  const stop = client.onLoggedOut(() => out.push("left"));
  stop();
  await client.logout();
  assert.deepEqual(out, ["logout"]);
});

await runAll();
