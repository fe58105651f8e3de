// The client in tabs of a real browser, with the refresh token in the cookie and in localStorage.
import assert from "node:assert/strict";
import { settings, test as testOf } from "./browser.mjs";
import { answer, APP, AUTH, drop, ELSEWHERE, lose, loseHalf, newcomer, plan, refuse, sent, unplan } from "./front.mjs";

const HOUR = 3_600_000;
const PING = "/api/v1/ping", REFRESH = "/api/v1/auth/refresh";
const PLACES = ["cookie", "localStorage"];
const KEY = `authapp:${AUTH}/`;

/** A test against the true server. */
function test(name, run) {
  testOf(name, async (tools) => {
    await tools.api.real();
    await run(tools);
  });
}

/** Open a tab with a client in it. `skip()` moves its clock, and so ages its access token; `out` are those told. */
async function open(context, place) {
  const page = await context.newPage();
  await page.addInitScript(() => {
    const now = performance.now.bind(performance);
    let skipped = 0;
    window.skip = (milliseconds) => { skipped += milliseconds; };
    performance.now = () => now() + skipped;
  });
  await page.goto(APP);
  await start(page, place);
  return page;
}

function start(page, place) {
  return page.evaluate(async ([baseUrl, where]) => {
    const { createClient } = await import("/clients/js/dist/index.js");
    window.auth = createClient({ baseUrl, storage: where === "localStorage" ? localStorage : where });
    window.out = [];
    window.auth.onLoggedOut((reason) => window.out.push(reason?.code ?? "logout"));
    window.auth.onSessionChanged?.(() => window.out.push("changed"));
    window.get = async (address = "/api/v1/ping", init = {}) => {
      try {
        return (await window.auth.fetch(address, init)).status;
      } catch (error) {
        return error.name;
      }
    };
  }, [AUTH, place]);
}

const logIn = (page, user) => page.evaluate((credentials) => window.auth.login(credentials), user);
const get = (page, ...request) => page.evaluate((given) => window.get(...given), request);
const age = (page, by = HOUR) => page.evaluate((milliseconds) => window.skip(milliseconds), by);
const out = (page) => page.evaluate(() => window.out);
const stored = (page) => page.evaluate((key) => localStorage.getItem(key), KEY);

async function loggedIn(context, place) {
  const page = await open(context, place);
  await logIn(page, await newcomer());
  sent();
  return page;
}

let sleeper;

test("a laptop falls asleep", async ({ browser }) => {
  const context = await browser.newContext();
  const page = await open(context, "cookie");
  // Clocks of browsers stand still while a computer sleeps: what is really too old looks new.
  await page.evaluate(() => { performance.now = () => 0; });
  await logIn(page, await newcomer());
  sleeper = { page, context, since: Date.now() };
});

test("a login in the cookie leaves no token to scripts, and lasts over a reload", async ({ context }) => {
  const page = await loggedIn(context, "cookie");
  assert.equal(await get(page), 200);
  assert.deepEqual(await page.evaluate(() => ({ ...localStorage, ...sessionStorage })), {});
  await page.reload();
  await start(page, "cookie");
  assert.equal(await get(page), 200);
  assert.deepEqual(await out(page), []);
});

test("a page without a session asks once, and sends requests without a token", async ({ context }) => {
  const page = await open(context, "cookie");
  await newcomer();
  assert.deepEqual([await get(page), await get(page)], [401, 401]);
  assert.deepEqual(sent().map(({ path, token }) => [path, token]), [[REFRESH, undefined], [PING, undefined], [PING, undefined]]);
  assert.deepEqual(await out(page), [], "nobody was logged in");
});

test("a token that is about to expire is renewed once in a tab, however many requests wait", async ({ context }) => {
  const page = await loggedIn(context, "cookie");
  await age(page, 9_100);
  assert.deepEqual(await page.evaluate(() => Promise.all([1, 2, 3, 4, 5].map(() => window.get()))), [200, 200, 200, 200, 200]);
  assert.equal(sent(REFRESH).length, 1);
});

test("two tabs that refresh at once stay logged in", async ({ context }) => {
  for (const place of PLACES) {
    const tabs = [await loggedIn(context, place), await open(context, place)];
    for (let round = 0; round < 4; round++) {
      await Promise.all(tabs.map((tab) => age(tab)));
      sent();
      assert.deepEqual(await Promise.all(tabs.map((tab) => get(tab))), [200, 200], place);
      assert.equal(sent(REFRESH).length, 2);
    }
    assert.deepEqual(await Promise.all(tabs.map(out)), [[], []]);
  }
});

test("a refresh whose answer is lost is asked for again, and succeeds", async ({ context }) => {
  for (const place of PLACES) {
    const page = await loggedIn(context, place);
    for (const action of [lose, loseHalf, lose]) {
      await age(page);
      plan("auth/refresh", action, 1);
      assert.equal(await get(page), 200, place);
      assert.equal(sent(REFRESH).length, 2);
    }
    assert.deepEqual(await out(page), []);
  }
});

test("without a network nobody is logged out", async ({ context }) => {
  for (const place of PLACES) {
    const page = await loggedIn(context, place);
    await age(page);
    for (const [action, outcome] of [[lose, "TypeError"], [drop, "TypeError"], [refuse(503, "service_unavailable"), "AuthError"]]) {
      plan("auth/refresh", action);
      assert.equal(await get(page), outcome);
    }
    assert.deepEqual(sent().map(({ path }) => path), Array(5).fill(REFRESH), "no loop, and no request without a token");
    unplan("auth/refresh");
    await context.setOffline(true);
    assert.equal(await get(page), "TypeError");
    await context.setOffline(false);
    assert.deepEqual(await out(page), []);
    plan("auth/refresh", lose, 1);
    assert.equal(await get(page), 200, place);
  }
});

test("a token that can still be used is used if it cannot be renewed", async ({ context }) => {
  const page = await loggedIn(context, "cookie");
  await age(page, 9_100);
  plan("auth/refresh", drop);
  assert.equal(await get(page), 200);
});

test("a logout in one tab ends the others at their next request", async ({ context }) => {
  for (const place of PLACES) {
    const [page, other, idle] = [await loggedIn(context, place), await open(context, place), await open(context, place)];
    assert.deepEqual([await get(other), await get(idle)], [200, 200]);
    await page.evaluate(() => window.auth.logout());
    assert.deepEqual(await out(page), ["logout"]);
    assert.equal(await stored(page), null);
    sent();
    assert.equal(await get(other), 401);
    assert.deepEqual(await out(other), ["token_missing"]);
    await age(idle);
    assert.equal(await get(idle), 401);
    assert.deepEqual(await out(idle), ["token_missing"]);
    assert.ok(sent(PING).length <= 2, "a refused request is not repeated");
  }
});

test("a new login in another tab is taken over, and a request of the session before is not repeated", async ({ context }) => {
  for (const place of PLACES) {
    const [page, other] = [await loggedIn(context, place), await open(context, place)];
    assert.equal(await get(other), 200);
    await page.evaluate(() => window.auth.logout());
    await logIn(page, await newcomer());
    assert.equal(await get(other), 401);
    assert.equal(await get(other), 200);
    assert.deepEqual(await out(other), ["changed"], "no logout");
  }
});

const leave = (page, scope) =>
  page.evaluate((given) => window.auth.logout({ scope: given }).then(() => "ended", (error) => error.code ?? error.message), scope);

test("a logout ends no sessions of somebody else, who has logged in in another tab", async ({ browser, context }) => {
  const elsewhere = await browser.newContext();
  for (const place of PLACES) {
    for (const scope of ["others", "global"]) {
      const [ada, bob] = [await newcomer(), await newcomer()];
      const [page, tab] = [await open(context, place), await open(context, place)];
      const [ofAda, ofBob] = [await open(elsewhere, "memory"), await open(elsewhere, "memory")];
      for (const [each, user] of [[page, ada], [tab, bob], [ofAda, ada], [ofBob, bob]]) await logIn(each, user);
      assert.match(await leave(page, scope), /Another session has begun/, place);
      assert.deepEqual(await Promise.all([tab, ofAda, ofBob].map((each) => get(each))), [200, 200, 200], `${place}, ${scope}`);
      assert.deepEqual(await out(page), ["changed"]);
    }
  }
  await elsewhere.close();
});

test("a tab that knows that nobody is logged in ends all sessions of nobody", async ({ context }) => {
  const [page, tab] = [await open(context, "cookie"), await open(context, "cookie")];
  assert.equal(await get(page), 401);
  await logIn(tab, await newcomer());
  sent();
  for (const scope of ["others", "global"]) assert.equal(await leave(page, scope), "token_missing");
  assert.deepEqual(sent(), []);
  assert.equal(await get(tab), 200);
});

test("the token goes to no other origin, and over no redirect", async ({ context, complaints }) => {
  const page = await loggedIn(context, "localStorage");
  await get(page, `${ELSEWHERE}/direct`);
  plan("ping", answer(307, {}, { Location: `${ELSEWHERE}/redirected` }), 1);
  await get(page);
  const calls = sent().filter(({ host }) => host.startsWith("evil."));
  assert.deepEqual(calls.map(({ path, token }) => [path, token]), [["/direct", undefined], ["/redirected", undefined]]);
  complaints.length = 0;
});

test("where the server keeps no cookie, the login fails and says so", async ({ context }) => {
  const page = await open(context, "cookie");
  const user = await newcomer();
  plan("auth/login", answer(200, { access_token: "a", expires_in: 10, refresh_token: "r", refresh_expires_in: 60, token_type: "Bearer" }), 1);
  await assert.rejects(logIn(page, user), /AUTHAPP_REFRESH_COOKIE is off/);
});

// The last of this file: by now it has slept for most of the time.
test("a token that expired in its sleep is renewed, and the request repeated", async () => {
  const { page, context, since } = sleeper;
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, since + 10_100 - Date.now())));
  sent();
  const post = { method: "PATCH", body: "{}", headers: { "Content-Type": "application/json" } };
  assert.equal(await get(page, "/api/v1/users/me", post), 200);
  assert.deepEqual(sent().map(({ path, body }) => [path, body]), [
    ["/api/v1/users/me", "{}"], [REFRESH, ""], ["/api/v1/users/me", "{}"],
  ]);
  await context.close();
});
