// What the page shows to whom, and what hostile text and hostile scripts can do: nothing.
import assert from "node:assert/strict";
import { settings } from "./browser.mjs";
import {
  HOSTILE, PASSWORD, anAccount, announced, complained, heading, logIn, press, root, send, test, tokenOf, visit,
} from "./console.mjs";

const links = (page) => page.getByRole("navigation").getByRole("link").allTextContents();

test("an account sees the views that its permissions allow", async ({ page }) => {
  const auditor = await anAccount({ permissions: ["audit:read"] });
  await logIn(page, auditor.username);
  await heading(page, "Audit events");
  assert.deepEqual(await links(page), ["Audit events", "Service", "Your sessions"]);
  assert.equal(await page.locator("#view td a").count(), 0);
  await page.evaluate(() => { location.hash = "#users"; });
  await page.waitForURL(/#events/);
});

test("an account without permissions sees the service and its own sessions", async ({ page }) => {
  const { username } = await anAccount();
  await logIn(page, username);
  await heading(page, "Service");
  assert.deepEqual(await links(page), ["Service", "Your sessions"]);
});

test("an account that may only read is offered no action", async ({ page }) => {
  const reader = await anAccount({ permissions: ["users:read", "roles:read"] });
  await logIn(page, reader.username, { hash: `#user?id=${reader.id}` });
  await heading(page, reader.username);
  assert.equal(await page.locator("#view button, #view form").count(), 0);
  await visit(page, "#roles", "Roles");
  assert.equal(await page.locator("#view button:visible").count(), 0);
});

test("a permission that is gone is refused when it is used", async ({ page }) => {
  const [user, writer] = [await anAccount(), await anAccount({ permissions: ["users:read", "users:write"] })];
  await logIn(page, writer.username, { hash: `#user?id=${user.id}` });
  await heading(page, user.username);
  const body = { permissions: ["users:read"] };
  assert.equal((await send("PATCH", `roles/${writer.roles[0]}`, { token: await root(), body })).status, 200);
  await press(page, "Forget failed logins");
  await complained(page, "You may not do this.");
});

test("nobody can grant what they do not have", async ({ page }) => {
  const maker = await anAccount({ permissions: ["roles:read", "roles:write"] });
  await logIn(page, maker.username);
  await press(page, "New role");
  assert.equal(await page.getByLabel("users:write").isDisabled(), true);
  assert.equal(await page.getByLabel("roles:read").isDisabled(), false);
});

test("markup in what clients and administrators send is text", async ({ page }) => {
  const user = await anAccount();
  const token = await root();
  await tokenOf(user.username, { agent: HOSTILE });
  await send("POST", "auth/login", { body: { username: HOSTILE, password: HOSTILE }, agent: HOSTILE });
  const role = { name: "hostile", description: HOSTILE, permissions: [] };
  assert.equal((await send("POST", "roles", { token, body: role })).status, 201);
  await logIn(page, "root", { hash: `#user?id=${user.id}` });
  for (const [hash, title] of [[`#user?id=${user.id}`, user.username], ["#roles", "Roles"], ["#events", "Audit events"]]) {
    await visit(page, hash, title);
    await page.locator("#view td", { hasText: HOSTILE }).first().waitFor();
    assert.equal(await page.locator("#view :is(img, script)").count(), 0);
  }
  await press(page, "Log out");
  await heading(page, "Log in");
  await tokenOf("root", { agent: HOSTILE });
  await logIn(page, "root", { hash: "#sessions" });
  await page.locator("#view td", { hasText: HOSTILE }).first().waitFor();
  await visit(page, "#roles", "Roles");
  await press(page, "Edit hostile");
  assert.equal(await page.getByRole("dialog").getByLabel("Description").inputValue(), HOSTILE);
  assert.equal(await page.title(), "Roles · Console");
});

test("no script but the page's own can put markup into it or send anything away", async ({ page, complaints }) => {
  await page.goto(`${settings.url}/console`);
  await heading(page, "Log in");
  const tried = await page.evaluate(async () => {
    const attempt = async (run) => run().then(() => "done", (error) => error.name);
    return [
      await attempt(async () => { document.body.innerHTML = "<b>x</b>"; }),
      await attempt(() => fetch("http://127.0.0.1:9/")),
    ];
  });
  assert.deepEqual(tried, ["TypeError", "TypeError"]);
  assert.ok(complaints.splice(0).length >= 1);
});

test("the page works with the keyboard alone", async ({ page }) => {
  const user = await anAccount();
  await page.goto(`${settings.url}/console#user?id=${user.id}`);
  await heading(page, "Log in");
  await page.keyboard.type("root");
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await heading(page, user.username);
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  assert.equal(await focused(), user.username);
  const tabTo = async (text) => {
    for (let tabs = 0; tabs < 30 && (await focused()) !== text; tabs += 1) await page.keyboard.press("Tab");
    assert.equal(await focused(), text);
  };
  await tabTo("Disable");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  assert.equal(await focused(), "Cancel", "the dialog begins with what changes nothing");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.locator("#view button:not([aria-disabled])", { hasText: /^Disable$/ }).waitFor();
  assert.equal(await focused(), "Disable");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await announced(page, "is disabled");
  assert.notEqual(await page.evaluate(() => document.activeElement.tagName), "BODY");
  assert.equal(await page.locator("button, a[href], input").first().getAttribute("id"), "skip");
  await page.locator("#skip").focus();
  assert.ok((await page.locator("#skip").boundingBox()).y >= 0, "it is seen while it has the focus");
  await page.keyboard.press("Enter");
  assert.equal(await focused(), user.username);
});
