// What a page of another origin can read of the API, in a real browser.
import assert from "node:assert/strict";
import { API, APP, bearer, EVIL, logIn, LOOKALIKES, newcomer, PASSWORD, send, SIBLING, test } from "./pages.mjs";

const NOTHING = { blocked: "TypeError" };

test("a listed page logs in, calls, refreshes and logs out", async ({ page }) => {
  await page.goto(APP);
  const username = await newcomer(page);
  const { status, body, headers } = await logIn(page, username, { headers: {} });
  assert.equal(status, 200);
  assert.ok(headers["x-request-id"]);
  assert.equal((await send(page, "GET", "ping", { headers: bearer(body.access_token) })).body.message, "pong");
  const next = await send(page, "POST", "auth/refresh", { json: { refresh_token: body.refresh_token } });
  assert.equal(next.status, 200);
  assert.equal((await send(page, "POST", "auth/logout", { headers: bearer(next.body.access_token) })).status, 204);
  assert.equal((await send(page, "GET", "ping", { headers: bearer(next.body.access_token) })).body.code, "token_revoked");
});

test("a listed page reads why it is refused", async ({ page }) => {
  await page.goto(APP);
  const missing = await send(page, "GET", "ping");
  assert.deepEqual([missing.status, missing.body.code], [401, "token_missing"]);
  assert.match(missing.headers["www-authenticate"], /^Bearer realm="authapp"/);
  const nowhere = await send(page, "DELETE", "nowhere", { headers: bearer("x") });
  assert.deepEqual([nowhere.status, nowhere.body.code], [404, "not_found"]);
  const method = await send(page, "PATCH", "ping", { headers: bearer("x") });
  assert.deepEqual([method.status, method.body.code], [405, "method_not_allowed"]);
  const large = await send(page, "POST", "auth/login", { json: { username: "x".repeat(70_000), password: "x" } });
  assert.deepEqual([large.status, large.body.code], [413, "payload_too_large"]);
});

test("a listed page reads when it may try again", async ({ page }) => {
  await page.goto(APP);
  const username = await newcomer(page);
  let answer;
  for (let time = 0; time < 4; time++) answer = await logIn(page, username, { headers: {}, password: `${PASSWORD}!` });
  assert.deepEqual([answer.status, answer.body.code], [429, "too_many_requests"]);
  assert.ok(Number(answer.headers["retry-after"]) >= 1);
  assert.match(answer.headers["ratelimit-policy"], /^"attempts"/);
});

test("a listed page reads what gunicorn answers by itself", async ({ page }) => {
  await page.goto(APP);
  for (const length of [5_000, 30_000]) {
    const { status, body } = await send(page, "GET", `users?q=${"x".repeat(length)}`);
    assert.deepEqual([status, body.code], [400, "malformed_request"]);
  }
  const { status } = await send(page, "GET", "ping", { headers: { "X-Request-ID": "x".repeat(9_000) } });
  assert.equal(status, 400);
});

test("a page that is not listed reads nothing, and sends nothing that needs a preflight", async ({ page, complaints }) => {
  for (const origin of [EVIL, SIBLING, ...LOOKALIKES]) {
    await page.goto(origin);
    const username = await newcomer(page);
    assert.deepEqual(await send(page, "GET", "ping"), NOTHING, origin);
    assert.deepEqual(await send(page, "GET", "nowhere"), NOTHING, origin);
    assert.deepEqual(await send(page, "GET", `users?q=${"x".repeat(5_000)}`), NOTHING, origin);
    assert.deepEqual(await logIn(page, username, { headers: {} }), NOTHING, origin);
    assert.deepEqual(await send(page, "GET", "ping", { headers: bearer("x"), credentials: "omit" }), NOTHING, origin);
  }
  assert.ok(complaints.length >= 5 && complaints.every((each) => each.includes("CORS policy")), complaints.join("\n"));
  complaints.length = 0;
});

test("a page without an origin reads nothing", async ({ page, complaints }) => {
  await page.goto(APP);
  const read = await page.evaluate((api) => new Promise((resolve) => {
    addEventListener("message", ({ origin, data }) => resolve([origin, data]));
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    const report = "(what) => parent.postMessage(what, '*')";
    frame.srcdoc = `<script>fetch("${api}/api/v1/ping").then((r) => r.status, () => "nothing").then(${report})</script>`;
    document.body.append(frame);
  }), API);
  assert.deepEqual(read, ["null", "nothing"]);
  complaints.length = 0;
});

test("every page reads the keys and the metadata", async ({ page }) => {
  await page.goto(EVIL);
  for (const name of ["jwks.json", "oauth-authorization-server", "openid-configuration"]) {
    const status = await page.evaluate(
      async (url) => (await fetch(url, { headers: { "X-Requested-With": "x" } })).status, `${API}/.well-known/${name}`,
    );
    assert.equal(status, 200);
  }
});

test("a page of this server needs no list", async ({ page }) => {
  await page.goto(`${API}/health/live`);
  const { status, type } = await send(page, "GET", "ping");
  assert.deepEqual([status, type], [401, "basic"]);
});
