// Logging in, and the users.
import assert from "node:assert/strict";
import { field, settings } from "./browser.mjs";
import {
  DESKTOP, PASSWORD, anAccount, announced, complained, confirm, heading, logIn, press, root, send, test, tokenOf, visit,
} from "./console.mjs";

test("a wrong password is reported, and what was typed stays", async ({ page }) => {
  await page.goto(`${settings.url}/console`);
  await field(page, "Username or email address").fill("root");
  await field(page, "Password").fill("wrong");
  await press(page, "Log in");
  await complained(page, /./);
  assert.equal(await field(page, "Username or email address").inputValue(), "root");
});

test("a reload keeps the session where the service has the cookie, and nowhere else", async ({ page }) => {
  await logIn(page);
  await heading(page, "Users");
  await page.reload();
  await heading(page, "Users");
  assert.deepEqual(await page.evaluate(() => ({ ...localStorage, ...sessionStorage })), {});
  await logIn(page, "root", { server: settings.elsewhere });
  await heading(page, "Users");
  await page.reload();
  await heading(page, "Log in");
});

test("after a logout nothing of the account is in the page", async ({ page }) => {
  await logIn(page);
  await heading(page, "Users");
  await press(page, "Log out");
  await heading(page, "Log in");
  assert.ok(!(await page.locator("body").innerText()).includes("root@example.com"));
  await page.reload();
  await heading(page, "Log in");
});

test("a session that an administrator has ended shows the login", async ({ page }) => {
  const user = await anAccount({ permissions: ["users:read"] });
  await logIn(page, user.username);
  await heading(page, "Users");
  await send("DELETE", `users/${user.id}/sessions`, { token: await root() });
  await page.getByRole("link", { name: "Your sessions" }).click();
  await heading(page, "Log in");
  await complained(page, "You have been logged out.");
});

test("a session that ends before its account is shown is over, and not a service that does not answer", async ({ page }) => {
  const refusal = { status: 401, contentType: "application/problem+json", body: '{"code": "token_revoked"}' };
  await page.goto(`${settings.url}/console`);
  await heading(page, "Log in");
  await page.route(/\/users\/me$|\/auth\/refresh$/, (route) => route.fulfill(refusal));
  await field(page, "Username or email address").fill("root");
  await field(page, "Password").fill(PASSWORD);
  await press(page, "Log in");
  await complained(page, "You have been logged out.");
  await page.locator("#password-form button:not([aria-disabled])").first().waitFor();
  await complained(page, "You have been logged out.");
});

const crowdOf = (page, count) => page.waitForFunction((wanted) => {
  const rows = [...document.querySelectorAll("#view tbody tr")];
  return rows.length === wanted && rows.every((row) => row.textContent.startsWith("crowd"));
}, count);

test("users are found by the beginning of a name, and a page is loaded when it is asked for", async ({ page }) => {
  for (let each = 0; each < 27; each += 1) await anAccount({ name: "crowd" });
  await anAccount(); // The newest one, and so the first of the whole list.
  await logIn(page);
  await heading(page, "Users");
  await page.getByLabel("Username or email address begins with").fill("CROWD");
  await page.getByLabel("Username or email address begins with").press("Enter");
  await page.waitForURL(/q=CROWD/);
  const rows = page.locator("#view tbody tr");
  await crowdOf(page, 25);
  await press(page, "Show more");
  await crowdOf(page, 27);
  assert.equal(await page.evaluate(() => document.activeElement.rowIndex), 26, "the keyboard goes on at the first new row");
  assert.equal(await page.getByRole("button", { name: "Show more" }).isVisible(), false);
  await page.getByLabel("Status").selectOption("disabled");
  await press(page, "Search");
  await page.getByText("No user matches.").waitFor();
  await page.goBack();
  await rows.first().waitFor();
});

const usersOf = (url) => url.pathname === "/api/v1/users";
const NOBODY = { username: "found", status: "active", roles: [], id: "0" };

test("pages may be empty although there is a next one", async ({ page }) => {
  const pages = [[], [], [NOBODY], []];
  await page.route(usersOf, (route) => {
    const cursor = Number(new URL(route.request().url()).searchParams.get("cursor"));
    return route.fulfill({ json: { items: pages[cursor], next_cursor: cursor < 3 ? String(cursor + 1) : null } });
  });
  await logIn(page);
  await page.locator("#view tbody tr", { hasText: "found" }).waitFor();
  await press(page, "Show more");
  await page.getByRole("button", { name: "Show more" }).waitFor({ state: "hidden" });
  assert.equal(await page.locator("#view tbody tr").count(), 1);
  assert.equal(await page.getByText("No user matches.").isVisible(), false);
});

test("a bounded number of empty pages is read, and the rest when it is asked for", async ({ page }) => {
  let asked = 0;
  await page.route(usersOf, (route) => {
    asked += 1;
    const isFound = asked > 10;
    return route.fulfill({ json: { items: isFound ? [NOBODY] : [], next_cursor: isFound ? null : "more" } });
  });
  await logIn(page);
  await page.getByText("Nothing yet, and there is more to look through.").waitFor();
  assert.equal(asked, 10);
  await press(page, "Show more");
  await page.locator("#view tbody tr", { hasText: "found" }).waitFor();
  assert.equal(await page.getByText("Nothing yet").isVisible(), false);
});

test("what is pressed twice is sent once", async ({ page }) => {
  const sent = [];
  const refusal = { status: 429, headers: { "Retry-After": "7" }, contentType: "application/problem+json", body: '{"title": "Slow down."}' };
  for (const path of ["auth/login", "roles"]) {
    await page.route(`**/api/v1/${path}`, async (route) => {
      sent.push(path);
      await new Promise((resolve) => { answer = resolve; });
      return route.fulfill(refusal);
    });
  }
  let answer;
  await page.goto(`${settings.url}/console`);
  await field(page, "Username or email address").fill("root");
  await field(page, "Password").fill("wrong");
  for (let each = 0; each < 2; each += 1) await field(page, "Password").press("Enter");
  answer();
  await complained(page, "Slow down. Try again in 7 seconds.");
  await page.unroute("**/api/v1/auth/login");
  await logIn(page, "root", { hash: "#roles" });
  await press(page, "New role");
  const name = page.getByRole("dialog").getByLabel("Name");
  await name.fill("twice");
  for (let each = 0; each < 2; each += 1) await name.press("Enter");
  answer();
  await page.getByRole("dialog").getByRole("alert").filter({ hasText: "Slow down. Try again in 7 seconds." }).waitFor();
  assert.deepEqual(sent, ["auth/login", "roles"]);
});

test("a login as somebody else in another tab loads the page anew", async ({ page, context }) => {
  const other = await anAccount({ permissions: ["users:read"] });
  await logIn(page);
  await heading(page, "Users");
  const tab = await context.newPage();
  await tab.setViewportSize(DESKTOP);
  await tab.goto(`${settings.url}/console`);
  await heading(tab, "Users");
  await press(tab, "Log out");
  await heading(tab, "Log in");
  await logIn(tab, other.username);
  await heading(tab, "Users");
  await page.getByRole("link", { name: "Your sessions" }).click();
  await page.locator("#name", { hasText: other.username }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Roles" }).isVisible(), false);
});

test("a disabled user's token is dead at once, and lives no more when the user is enabled", async ({ page }) => {
  const user = await anAccount();
  const token = await tokenOf(user.username);
  await logIn(page, "root", { hash: `#user?id=${user.id}` });
  await heading(page, user.username);
  await press(page, "Disable");
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.equal((await send("GET", "ping", { token })).status, 200);
  await confirm(page, "Disable");
  await announced(page, `${user.username} is disabled.`);
  assert.equal((await send("GET", "ping", { token })).body.code, "token_revoked");
  await press(page, "Enable");
  await announced(page, "is enabled");
  assert.equal((await send("GET", "ping", { token })).status, 401);
  await tokenOf(user.username);
});

test("all sessions of a user end, and one's own one by one", async ({ page }) => {
  const user = await anAccount({ roles: ["admin"] });
  const [first] = [await tokenOf(user.username, { agent: "First" })];
  await logIn(page, user.username, { hash: "#sessions" });
  await heading(page, "Your sessions");
  const row = page.locator("#view tbody tr", { hasText: "First" });
  await row.getByRole("button", { name: /^End/ }).click();
  await announced(page, "The session has ended.");
  assert.equal((await send("GET", "ping", { token: first })).status, 401);
  const second = await tokenOf(user.username);
  await confirm(page, "End all others");
  await announced(page, "All other sessions have ended.");
  assert.equal((await send("GET", "ping", { token: second })).status, 401);
  const other = await anAccount();
  const third = await tokenOf(other.username);
  await visit(page, `#user?id=${other.id}`, other.username);
  await confirm(page, "End all sessions");
  await announced(page, "have ended");
  assert.equal((await send("GET", "ping", { token: third })).status, 401);
  await visit(page, "#sessions", "Your sessions");
  await confirm(page, "Log out everywhere");
  await heading(page, "Log in");
});
