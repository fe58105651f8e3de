// The audit trail, its chart, the keys and the health.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { settings } from "./browser.mjs";
import { anAccount, heading, logIn, press, send, test, tokenOf, visit } from "./console.mjs";

const rows = (page) => page.locator("#view > div tbody tr");

test("events are filtered by type, user and time, and the address keeps the filter", async ({ page }) => {
  const user = await anAccount();
  await tokenOf(user.username);
  await logIn(page, "root", { hash: `#events?user_id=${user.id}` });
  await rows(page).nth(1).waitFor();
  const all = await rows(page).count();
  await page.getByLabel("Type").selectOption("session.started");
  await press(page, "Show");
  await page.waitForURL(/type=session.started/);
  await page.waitForFunction((before) => document.querySelectorAll("#view > div tbody tr").length < before, all);
  assert.deepEqual(await rows(page).locator("td:nth-child(2)").allTextContents(), ["session.started"]);
  await page.reload();
  await rows(page).first().waitFor();
  assert.equal(await page.getByLabel("Type").inputValue(), "session.started");
  assert.equal(await page.getByLabel("User id").inputValue(), user.id);
  await page.getByLabel("Until").fill("2020-01-01T00:00");
  await press(page, "Show");
  await page.getByText("There is no such event.").waitFor();
  assert.equal(await page.getByLabel("Until").inputValue(), "2020-01-01T00:00");
});

test("the chart counts the logins and refusals of each hour, in bars and in numbers", async ({ page }) => {
  const user = await anAccount();
  for (let each = 0; each < 3; each += 1) await tokenOf(user.username);
  for (let each = 0; each < 2; each += 1) {
    await send("POST", "auth/login", { body: { username: user.username, password: "wrong" } });
  }
  await logIn(page, "root", { hash: `#events?user_id=${user.id}` });
  await page.getByRole("img", { name: /3 logins and 2 refusals/ }).waitFor();
  assert.equal(await page.locator("figure rect").count(), 48);
  await page.getByText("The numbers as a table").click();
  const numbers = await page.locator("figure tbody tr").evaluateAll((all) =>
    all.map((row) => [...row.cells].slice(1).map((cell) => Number(cell.textContent))));
  const sum = (index) => numbers.reduce((total, row) => total + row[index], 0);
  assert.deepEqual([numbers.length, sum(0), sum(1)], [24, 3, 2]);
});

test("the chart reads a bounded number of pages, and says where it begins", async ({ page }) => {
  let asked = 0;
  await page.route("**/audit-events?*type=session.started*limit=100*", (route) => {
    asked += 1;
    const newest = Date.now() - 1_000 * asked;
    const items = Array.from({ length: 100 }, () => ({ occurred_at: new Date(newest).toISOString() }));
    return route.fulfill({ json: { items, next_cursor: "more" } });
  });
  await logIn(page, "root", { hash: "#events" });
  await page.getByText("This chart reads 1,000 events of a type at most").waitFor();
  assert.equal(asked, 10);
  // Ten seconds of events: of this hour and, just after the hour, of the one before.
  assert.ok(await page.locator("figure rect").count() <= 4);
});

test("the chart counts at least what it has read of an hour with more events than it reads", async ({ page }) => {
  const user = await anAccount();
  const hour = Date.UTC(2026, 0, 5, 12);
  const at = (minute, type) => ({ type, occurred_at: new Date(hour + minute * 60_000).toISOString() });
  let pages = 0;
  await page.route("**/audit-events?*limit=100*", (route) => {
    const type = new URL(route.request().url()).searchParams.get("type");
    // A thousand logins from 12:50 to 12:59, and more before them; and two refusals, one of the hour before.
    if (type === "session.started") return route.fulfill({ json: { items: Array(100).fill(at(59 - pages++, type)), next_cursor: "more" } });
    const items = type === "login.refused" ? [at(30, type), at(-30, type)] : [];
    return route.fulfill({ json: { items, next_cursor: null } });
  });
  await logIn(page, "root", { hash: `#events?user_id=${user.id}&until=2026-01-05T13:00:00Z` });
  const summary = /at least 1,000 logins and 1 refusal, from .+; at least 1,000 in an hour/;
  await page.getByRole("img", { name: summary }).waitFor();
  assert.match(await page.locator("figure .hint").last().textContent(), summary);
  assert.match(await page.locator("figure rect title").first().textContent(), /: at least 1,000 logins, 1 refusal$/);
  await page.getByText("The numbers as a table").click();
  const numbers = await page.locator("figure tbody tr").evaluateAll((all) => all.map((row) => [...row.cells].slice(1).map((cell) => cell.textContent)));
  assert.deepEqual(numbers, [["at least 1,000", "1"]]);
});

test("the chart stops reading when another view is shown", async ({ page }) => {
  const open = [];
  let asked = 0;
  await page.route("**/audit-events?*type=session.started*limit=100*", (route) => {
    asked += 1;
    return new Promise((resolve) => { open.push(() => resolve(route.fulfill({ json: { items: [{ occurred_at: new Date().toISOString() }], next_cursor: "more" } }).catch(() => undefined))); });
  });
  await logIn(page, "root", { hash: "#events" });
  await heading(page, "Audit events");
  await page.waitForFunction(() => document.querySelector("figure"));
  const stopped = page.waitForEvent("requestfailed", (request) => request.url().includes("session.started"));
  await visit(page, "#service", "Service");
  await stopped;
  for (const answer of open) answer();
  await visit(page, "#sessions", "Your sessions");
  assert.equal(asked, 1);
});

test("the page shows the keys, which one signs, and how old they are", async ({ page }) => {
  const event = (occurred_at, details) => ({ occurred_at, details });
  const { body } = { body: await (await fetch(`${settings.url}/.well-known/jwks.json`)).json() };
  const { kid } = body.keys[0];
  await logIn(page, "root", { hash: "#service" });
  const row = page.locator("#view tbody tr", { hasText: kid });
  await row.waitFor();
  assert.deepEqual(await row.locator("td").allTextContents(), [kid, "ES256", "signs", "–", "–"]);
  const days = (count) => new Date(Date.now() - count * 86_400_000 - 60_000).toISOString();
  const items = [
    event(days(1), { signs: kid, standby: "newer" }), event(days(3), { signs: kid, standby: "new" }),
    event(days(40), { signs: "old", standby: kid }),
  ];
  await page.route("**/audit-events?type=key.rotated*", (route) => route.fulfill({ json: { items, next_cursor: null } }));
  await page.route("**/.well-known/jwks.json", (route) =>
    route.fulfill({ json: { keys: [{ kid, alg: "ES256" }, { kid: "new", alg: "ES256" }, { kid: "old", alg: "RS256" }] } }));
  await press(page, "Check again");
  await page.locator("#view tbody tr", { hasText: "stands by" }).waitFor();
  const cells = await page.locator("#view tbody tr").evaluateAll((all) => all.map((each) => [...each.cells].map((cell) => cell.textContent)));
  assert.deepEqual(cells.map(([, , use]) => use), ["signs", "stands by", "verifies"]);
  assert.match(cells[0][3], /40 days old/);
  assert.match(cells[0][4], /3 days old/);
  assert.match(cells[1][3], /3 days old/);
});

test("the page shows what is not ready", async ({ page }) => {
  await logIn(page, "root", { hash: "#service" });
  await page.getByText("live", { exact: true }).waitFor();
  await page.getByText("ready", { exact: true }).waitFor();
  await page.route("**/health/ready", (route) =>
    route.fulfill({ status: 503, json: { code: "service_unavailable", detail: "database: no answer" } }));
  await press(page, "Check again");
  await page.getByText("database: no answer").waitFor();
  await page.route("**/health/live", (route) => route.abort());
  await press(page, "Check again");
  await page.getByText("no answer", { exact: true }).waitFor();
});

test("audit events that cannot be read are reported", async ({ page }) => {
  await logIn(page, "root", { hash: "#service" });
  await heading(page, "Service");
  await page.route("**/audit-events?*", (route) => route.abort());
  await visit(page, "#events", "Not shown");
  await page.locator("#problem", { hasText: "The service did not answer." }).waitFor();
});

test("an address with a time that is none is refused by the service, and the page says so", async ({ page }) => {
  await logIn(page, "root", { hash: "#service" });
  await heading(page, "Service");
  await visit(page, "#events?since=yesterday", "Not shown");
  await page.locator("#problem", { hasText: "Not a valid" }).waitFor();
});
