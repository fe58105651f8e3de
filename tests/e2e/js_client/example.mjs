// The example in `examples/spa`: what it says and offers, and how it looks.
import assert from "node:assert/strict";
import { press, test as testOf } from "./browser.mjs";
import { answer, APP, endSessions, newcomer, plan, withApp } from "./front.mjs";
import { inspect, prepare } from "./inspect.mjs";

/** A test against the true server. */
function test(name, run) {
  testOf(name, async (tools) => {
    await tools.api.real();
    await run(tools);
  });
}

async function open(context) {
  const page = await context.newPage();
  await prepare(page);
  await page.goto(`${APP}/examples/spa/`);
  return page;
}

async function logIn(page, { username, password }) {
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password").fill(password);
  await press(page, "Log in");
}

async function loggedIn(context) {
  const [page, user] = [await open(context), await newcomer()];
  await logIn(page, user);
  await page.getByText(`You are ${user.username}`).waitFor();
  return { page, user };
}

const alerted = (page, text) => page.getByRole("alert").filter({ hasText: text }).waitFor();
const textOfAlert = (page) => page.getByRole("alert").textContent();

test("the example logs in with a second factor, keeps the session over a reload, and logs out", async ({ context }) => {
  const { user, code } = await withApp();
  const page = await open(context);
  await logIn(page, { ...user, password: "wrong" });
  await alerted(page, "The username or the password is wrong.");
  await logIn(page, user);
  await page.getByLabel("Code of your app").fill(code());
  await press(page, "Continue");
  const welcome = page.getByText(`You are ${user.username}, logged in at 2 place(s).`);
  await welcome.waitFor();
  await page.reload();
  await welcome.waitFor();
  await press(page, "Log out");
  await page.getByLabel("Password").waitFor();
  await page.reload();
  await page.getByLabel("Password").waitFor();
});

test("the example says that a session was ended elsewhere, and nothing else", async ({ context }) => {
  const { page, user } = await loggedIn(context);
  await endSessions(user);
  await press(page, "Ask again");
  await alerted(page, "You have been logged out.");
  // The answer to the other of its two requests may come later.
  await page.waitForLoadState("networkidle");
  assert.equal(await textOfAlert(page), "You have been logged out.");
  assert.ok(await page.getByLabel("Password").isVisible());
});

test("the example says so after a reload, too", async ({ context }) => {
  const { page, user } = await loggedIn(context);
  await endSessions(user);
  await page.reload();
  await page.getByLabel("Password").waitFor();
  await alerted(page, "You have been logged out.");
});

test("the example shows the account of who has logged in in another tab", async ({ context }) => {
  const { page, user } = await loggedIn(context);
  const [tab, other] = [await open(context), await newcomer()];
  await tab.getByText(`You are ${user.username}`).waitFor();
  await press(tab, "Log out");
  await logIn(tab, other);
  await tab.getByText(`You are ${other.username}`).waitFor();
  await press(page, "Ask again");
  await page.getByText(`You are ${other.username}`).waitFor();
  assert.equal(await textOfAlert(page), "");
});

const withFactors = (...factors) => answer(401, { code: "second_factor_required", challenge: "c", factors });

test("the example offers the second factors that an account has, and names those that it does not know", async ({ context }) => {
  const [page, user] = [await open(context), await newcomer()];
  for (const [factors, buttons] of [
    [["totp", "recovery_code"], ["Continue", "Continue with a recovery code"]],
    [["passkey", "card"], ["Continue with a passkey"]],
    [["card"], []],
  ]) {
    await page.reload();
    plan("auth/login", withFactors(...factors), 1);
    await logIn(page, user);
    await page.getByLabel("Password").waitFor({ state: "hidden" });
    assert.deepEqual(await page.locator("button:visible").allTextContents(), buttons);
  }
  await alerted(page, "This page does not know your second factor: card.");
});

test("the example meets WCAG AA, in light and dark, and fits a phone", async ({ context }) => {
  const [page, user] = [await open(context), await newcomer()];
  await logIn(page, { ...user, password: "wrong" });
  await alerted(page, "The username or the password is wrong.");
  await inspect(page, "example-login");
  plan("auth/login", withFactors("totp", "recovery_code", "passkey"), 1);
  await logIn(page, user);
  await page.getByLabel("Recovery code").waitFor();
  await inspect(page, "example-factors");
  await page.reload();
  await logIn(page, user);
  await page.getByText(`You are ${user.username}`).waitFor();
  await inspect(page, "example-account");
});
