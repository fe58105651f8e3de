// The refresh token in a cookie: what the app does with it, and what hostile pages cannot do, in a real browser.
import assert from "node:assert/strict";
import {
  API, APP, ASK, bearer, COOKIE, cookieOf, EVIL, isUntouched, loggedIn, logIn, LOOKALIKES, newcomer, PASSWORD, send, SIBLING, test,
} from "./pages.mjs";

const refresh = (page, headers = ASK) => send(page, "POST", "auth/refresh", { headers });
const sid = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url")).sid;
const HOSTILE = [EVIL, SIBLING, ...LOOKALIKES];

test("the refresh token is where no script can read it", async ({ page, context }) => {
  await page.goto(APP);
  const { body, headers } = await logIn(page, await newcomer(page));
  assert.equal(body.refresh_token, undefined);
  assert.equal(headers["set-cookie"], undefined);
  const cookie = await cookieOf(context);
  assert.equal(cookie.domain, "auth.example.com");
  assert.deepEqual([cookie.path, cookie.secure, cookie.httpOnly, cookie.sameSite], ["/", true, true, "Strict"]);
  assert.ok(Math.abs(cookie.expires - Date.now() / 1000 - body.refresh_expires_in) < 60);
  for (const url of [APP, `${API}/health/live`]) {
    await page.goto(url);
    assert.ok(!(await page.evaluate(() => document.cookie)).includes(COOKIE));
  }
});

test("it is renewed over a reload, and a logout clears it", async ({ page, context }) => {
  const { token, cookie } = await loggedIn(page, context);
  await page.reload();
  const { status, body } = await refresh(page);
  assert.equal(status, 200);
  assert.equal(sid(body.access_token), sid(token));
  assert.notEqual((await cookieOf(context)).value, cookie);
  assert.equal((await send(page, "POST", "auth/logout", { headers: ASK })).status, 204);
  assert.equal(await cookieOf(context), undefined);
  assert.equal((await refresh(page)).body.code, "token_missing");
  assert.equal((await send(page, "GET", "ping", { headers: bearer(body.access_token) })).body.code, "token_revoked");
});

test("a page of this server uses it, too", async ({ page, context }) => {
  await loggedIn(page, context);
  await page.goto(`${API}/health/live`);
  assert.equal((await refresh(page)).status, 200);
});

test("tabs that refresh at once stay logged in, without a lock", async ({ page, context }) => {
  await loggedIn(page, context);
  const tabs = [page, ...(await Promise.all([1, 2, 3].map(() => context.newPage())))];
  await Promise.all(tabs.map((tab) => tab.goto(APP)));
  for (let round = 0; round < 4; round++) {
    const answers = await Promise.all(tabs.map((tab) => refresh(tab)));
    assert.deepEqual(answers.map(({ status }) => status), tabs.map(() => 200), JSON.stringify(answers));
  }
});

test("a new password ends the session of another browser, and not this one", async ({ page, context, browser }) => {
  const { username, token } = await loggedIn(page, context);
  const elsewhere = await browser.newContext();
  const other = await elsewhere.newPage();
  await other.goto(APP);
  assert.equal((await logIn(other, username)).status, 200);
  const json = { current_password: PASSWORD, new_password: "another sentence that is long" };
  assert.equal((await send(page, "PUT", "users/me/password", { json, headers: bearer(token) })).status, 204);
  assert.equal((await refresh(other)).body.code, "token_revoked");
  assert.equal((await refresh(page)).status, 200);
  await elsewhere.close();
});

test("a refresh token in the body works beside the cookie", async ({ page, context }) => {
  const user = await loggedIn(page, context);
  const { body } = await logIn(page, user.username, { headers: {} });
  assert.equal((await cookieOf(context)).value, user.cookie);
  const next = await send(page, "POST", "auth/refresh", { json: { refresh_token: body.refresh_token } });
  assert.equal(sid(next.body.refresh_token), sid(body.access_token));
  await isUntouched(context, user);
  assert.equal(sid((await refresh(page)).body.access_token), sid(user.token));
});

test("the fetch of a hostile page does nothing", async ({ page, context, complaints }) => {
  const user = await loggedIn(page, context);
  for (const origin of HOSTILE) {
    await page.goto(origin);
    for (const path of ["auth/refresh", "auth/logout"]) {
      assert.deepEqual(await send(page, "POST", path, { headers: ASK }), { blocked: "TypeError" }, origin);
      assert.deepEqual(await send(page, "POST", path), { blocked: "TypeError" }, origin);
      // Without CORS a page cannot set the header, nor read the answer.
      const opaque = await send(page, "POST", path, { mode: "no-cors", headers: ASK });
      assert.equal(opaque.type, "opaque");
    }
    await isUntouched(context, user);
  }
  complaints.length = 0;
});

/** Let a form of the page send itself to `path`, and return the answer. */
async function submit(page, path, target = page) {
  const [response] = await Promise.all([
    page.waitForResponse((each) => each.url().includes(path)),
    target.evaluate((action) => {
      const form = Object.assign(document.createElement("form"), { method: "post", action });
      document.body.append(form);
      form.submit();
    }, `${API}/api/v1/${path}`),
  ]);
  return response;
}

test("the form of a hostile page does nothing", async ({ page, context }) => {
  const user = await loggedIn(page, context);
  for (const origin of [EVIL, SIBLING]) {
    for (const path of ["auth/refresh", "auth/logout"]) {
      await page.goto(origin);
      const response = await submit(page, path);
      // The browser keeps the cookie from another site; from the same one, the server refuses it.
      const isSameSite = new URL(origin).hostname.endsWith(".example.com");
      assert.equal(response.status(), isSameSite ? 403 : 401, origin);
      await isUntouched(context, user);
    }
  }
});

test("the sandboxed frame of a page does nothing", async ({ page, context }) => {
  const user = await loggedIn(page, context);
  for (const origin of [SIBLING, APP]) {
    for (const path of ["auth/refresh", "auth/logout"]) {
      await page.goto(origin);
      await page.evaluate(() => {
        const frame = Object.assign(document.createElement("iframe"), { srcdoc: "<body>" });
        frame.sandbox = "allow-scripts allow-forms";
        document.body.append(frame);
      });
      const frame = page.frames()[1] ?? (await page.waitForEvent("frameattached"));
      await frame.waitForLoadState();
      assert.ok([401, 403].includes((await submit(page, path, frame)).status()), origin);
      await isUntouched(context, user);
    }
  }
});

test("a hostile page cannot log its visitor in to an account of its own", async ({ page, context, complaints }) => {
  await page.goto(APP);
  const username = await newcomer(page);
  for (const origin of HOSTILE) {
    await page.goto(origin);
    await logIn(page, username);
    const text = JSON.stringify({ username, password: PASSWORD });
    await send(page, "POST", "auth/login", { mode: "no-cors", body: text, headers: ASK });
    assert.equal(await cookieOf(context), undefined, origin);
  }
  complaints.length = 0;
});
