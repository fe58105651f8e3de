// Logins by a provider: a certified one, the true API, and the page that begins and ends them.
import assert from "node:assert/strict";
import { alerted, heading, press, settings, test } from "./browser.mjs";

const LOGIN = `${settings.providers}/account/login`;

/** Open the page, and go to the provider. Its own pages load a font from elsewhere, which they do without. */
async function begin(page, api) {
  await api.real();
  await page.context().route(/^https:/, (route) => route.abort());
  await page.goto(LOGIN);
  await press(page, "Log in with example");
  await page.waitForURL(/\/interaction\//);
}

async function logInThere(page, name) {
  await page.locator("input[name=login]").fill(name);
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit], input[type=submit]").first().click();
  await page.locator("form").getByRole("button", { name: "Continue" }).click();
}

test("a user logs in by a provider, and is sent back to this page", async ({ page, api }) => {
  await begin(page, api);
  const answers = [];
  page.on("response", (response) => {
    if (response.url().includes("/api/v1/")) answers.push([response.request().method(), response.status()]);
  });
  await logInThere(page, "ada");
  await heading(page, "The login worked");
  assert.deepEqual(answers, [["PUT", 201], ["POST", 204]]);
  assert.equal(page.url(), LOGIN, "the address keeps neither the code nor the state");
  assert.deepEqual(await page.evaluate(() => ({ ...localStorage, ...sessionStorage })), {});
});

test("the next login of the same user opens the same account", async ({ page, api }) => {
  await begin(page, api);
  const answered = page.waitForResponse((response) => response.request().method() === "PUT");
  await logInThere(page, "ada");
  assert.equal((await answered).status(), 200);
  await heading(page, "The login worked");
});

test("what comes back in another tab is not used", async ({ page, api, context }) => {
  await begin(page, api);
  await context.route("**/api/v1/auth/providers/**", (route) => route.abort());
  const back = page.waitForRequest(/\/account\/login\?/);
  await logInThere(page, "grace");
  const url = (await back).url();
  await alerted(page, "The service did not answer.");
  const tab = await context.newPage();
  const sent = [];
  tab.on("request", (request) => { if (request.url().includes("/api/v1/")) sent.push(request.url()); });
  await tab.goto(url);
  await alerted(tab, "was begun in another window");
  assert.equal(tab.url(), LOGIN);
  assert.deepEqual(sent, []);
});

test("somebody who is not logged in there sees that", async ({ page, api }) => {
  await begin(page, api);
  await page.getByRole("link", { name: /cancel/i }).click();
  await alerted(page, "You were not logged in there.");
  await press(page, "Begin again");
  await heading(page, "Log in with a mail");
});
