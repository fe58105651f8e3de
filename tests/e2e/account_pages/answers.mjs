// Each answer of the API, in words on the page.
import assert from "node:assert/strict";
import { alerted, field, heading, press, refusal, settings, test, TOKEN } from "./browser.mjs";

const PASSWORD = "correct horse battery staple";
const UNUSABLE = refusal(400, "one_time_token_invalid");
const LINKS = {
  "verify-email": ["Confirm my address", "auth/email-verifications", "Your address is confirmed"],
  "change-email": ["Use this address", "auth/email-verifications", "Your address is changed"],
  "undo-email": ["Put my address back", "auth/email-verifications", "Your address is back"],
  "undo-factors": ["Remove the new factors", "auth/email-verifications", "The new factors are removed"],
};

/** Fill the field for the password of the account, and return what is sent of it. */
async function fillPassword(page, name) {
  if (name !== "change-email") return {};
  await field(page, "Your password").fill(PASSWORD);
  return { password: PASSWORD };
}

test("opening a link sends nothing, and takes the token out of the address and the history", async ({ page, open, api }) => {
  for (const name of settings.pages) {
    const requests = [];
    page.on("request", (request) => requests.push(`${request.method()} ${new URL(request.url()).pathname}`));
    await open(name, { token: TOKEN });
    await page.locator("section:not([hidden]) h1").waitFor();
    await page.waitForLoadState("networkidle");
    assert.equal(page.url(), `${settings.url}/account/${name}`);
    assert.deepEqual(requests.filter((each) => !/^GET \/account\//.test(each)), []);
    await page.goBack();
    assert.ok(!page.url().includes(TOKEN));
    page.removeAllListeners("request");
  }
  assert.deepEqual(api.calls, []);
});

test("a press sends the token once, as JSON, without cookies or the address of the page", async ({ page, open, api, context }) => {
  await context.addCookies([{ name: "session", value: "secret", url: settings.url }]);
  for (const [name, [button, path, done]] of Object.entries(LINKS)) {
    await open(name, { token: TOKEN });
    const password = await fillPassword(page, name);
    await press(page, button);
    await heading(page, done);
    assert.deepEqual(api.sent(), [["PUT", path, { token: TOKEN, ...password }]]);
    const { headers } = api.calls.pop();
    assert.equal(headers["content-type"], "application/json");
    assert.equal(headers.cookie, undefined);
    assert.equal(headers.referer, undefined);
    assert.ok(await page.getByRole("heading", { name: done }).evaluate((node) => node === document.activeElement));
  }
});

test("the button is off while the request runs", async ({ page, open, api }) => {
  let release;
  api.answer({ status: 204, gate: new Promise((resolve) => { release = resolve; }) });
  await open("reset-password", { token: TOKEN });
  const input = field(page, "New password");
  await input.fill(PASSWORD);
  await press(page, "Save the new password");
  const button = page.getByRole("button", { name: "One moment…" });
  assert.ok(await button.isDisabled());
  await input.press("Enter");
  release();
  await heading(page, "Your new password is set");
  assert.deepEqual(api.sent(), [["PUT", "auth/password-resets", { token: TOKEN, new_password: PASSWORD }]]);
  assert.equal(await field(page, "New password").count(), 0);
});

test("a link that cannot be used says so, and a new mail can be requested", async ({ page, open, api }) => {
  const cases = [
    ["verify-email", "Confirm my address", "auth/email-verifications", "Send a new link"],
    ["reset-password", "Save the new password", "auth/password-resets", "Send me a link"],
  ];
  for (const [name, button, path, again] of cases) {
    api.answer(UNUSABLE, { status: 202, body: {} });
    await open(name, { token: TOKEN });
    if (name === "reset-password") await field(page, "New password").fill(PASSWORD);
    await press(page, button);
    await heading(page, "This link has expired or was used");
    await field(page, "Email address").fill("ada@example.com");
    await press(page, again);
    await heading(page, "Look into your mailbox");
    assert.deepEqual(api.sent().at(-1), ["POST", path, { email: "ada@example.com" }]);
  }
});

test("a link that confirms or undoes a change says what to do if it cannot be used", async ({ page, open, api }) => {
  for (const name of ["change-email", "undo-email", "undo-factors"]) {
    api.answer(UNUSABLE);
    await open(name, { token: TOKEN });
    await fillPassword(page, name);
    await press(page, LINKS[name][0]);
    await heading(page, "This link has expired or was used");
  }
});

test("an address that another account has taken is neither confirmed nor put back", async ({ page, open, api }) => {
  for (const name of ["change-email", "undo-email"]) {
    api.answer(refusal(409, "email_taken"));
    await open(name, { token: TOKEN });
    await page.waitForURL(({ hash }) => hash === "");
    await page.reload();
    await heading(page, "This page needs the link in the mail");
    await open(name, { token: TOKEN });
    await fillPassword(page, name);
    await press(page, LINKS[name][0]);
    await heading(page, "Another account has this address");
  }
});

test("a new address is confirmed with the password, and a wrong one can be typed again", async ({ page, open, api }) => {
  api.answer(refusal(403, "wrong_password"), { status: 204 });
  await open("change-email", { token: TOKEN });
  await press(page, "Use this address");
  assert.deepEqual(api.sent(), [], "the field has to be filled in");
  await field(page, "Your password").fill("not the password");
  await press(page, "Use this address");
  await alerted(page, "That is not the password of this account. Please try again.");
  await fillPassword(page, "change-email");
  await press(page, "Use this address");
  await heading(page, "Your address is changed");
  assert.deepEqual(api.sent().at(-1), ["PUT", "auth/email-verifications", { token: TOKEN, password: PASSWORD }]);
});

test("without a token, the page offers to send a mail", async ({ page, open, api }) => {
  api.answer({ status: 202, body: {} });
  const cases = [["reset-password", "Forgot your password?", "Send me a link"], ["verify-email", "Get a new link", "Send a new link"]];
  for (const [name, title, button] of cases) {
    await open(name);
    await heading(page, title);
    await press(page, button);
    await heading(page, title);
    assert.deepEqual(api.calls, [], "an empty field is not sent");
    await field(page, "Email address").fill("ada@example.com");
    await press(page, button);
    await heading(page, "Look into your mailbox");
    api.calls.pop();
    await press(page, "Try another address");
    assert.equal(await field(page, "Email address").inputValue(), "");
  }
});

test("a rejected password is explained, and the link is good for another one", async ({ page, open, api }) => {
  const reasons = ["It has fewer than 8 characters.", "It is one of the most common passwords."];
  const errors = reasons.map((detail) => ({ pointer: "#/new_password", detail }));
  api.answer(refusal(422, "password_rejected", { errors }), { status: 204 });
  await open("reset-password", { token: TOKEN });
  const input = field(page, "New password");
  await input.fill("qwerty");
  await press(page, "Save the new password");
  await alerted(page, "Please choose another password.");
  assert.deepEqual(await page.locator(".problem li:visible").allTextContents(), reasons);
  assert.equal(await input.getAttribute("aria-invalid"), "true");
  assert.ok(await input.evaluate((node) => node === document.activeElement));
  await input.fill(PASSWORD);
  await input.press("Enter");
  await heading(page, "Your new password is set");
});

test("what the API says is text, never markup", async ({ page, open, api }) => {
  const detail = "<img src=x onerror=alert(1)>";
  api.answer(refusal(422, "password_rejected", { errors: [{ pointer: "#/new_password", detail }] }));
  await open("reset-password", { token: TOKEN });
  await field(page, "New password").fill("x");
  await press(page, "Save the new password");
  await alerted(page, detail);
  assert.equal(await page.locator("main img").count(), 0);
});

test("too many requests, an outage, a lost connection and the unforeseen are said in words", async ({ page, open, api }) => {
  const cases = [
    [refusal(429, "too_many_requests", { headers: { "Retry-After": "170" } }), "Please try again in 3 minutes."],
    [refusal(429, "too_many_requests", { headers: { "Retry-After": "20" } }), "Please try again in 20 seconds."],
    [{ status: 429, headers: { "Retry-After": "7200" } }, "Please try again in 2 hours."],
    [refusal(503, "service_unavailable"), "The service did not answer. Please try again in a moment."],
    [{ status: 502 }, "The service did not answer. Please try again in a moment."],
    [{ abort: true }, "The service did not answer. Please try again in a moment."],
    [{ status: 307, headers: { Location: "/health/live" } }, "The service did not answer. Please try again in a moment."],
    [refusal(403, "something_new"), "contact support with the words “something_new”"],
    [refusal(422, "validation_failed", { errors: [{ pointer: "#/email", detail: "It is no address." }] }), "It is no address."],
  ];
  await open("verify-email", { token: TOKEN });
  for (const [answer, words] of cases) {
    api.answer(answer);
    await press(page, "Confirm my address");
    await alerted(page, words);
    assert.ok(await page.getByRole("button", { name: "Confirm my address" }).isEnabled());
  }
  api.answer({ status: 204 });
  await press(page, "Confirm my address");
  await heading(page, "Your address is confirmed");
  assert.equal(api.calls.at(-1).body.token, TOKEN, "a failure does not lose the token");
});

test("who did not register deletes the account in two steps", async ({ page, open, api }) => {
  await open("verify-email", { token: TOKEN });
  await press(page, "I did not register");
  await heading(page, "Remove this account?");
  assert.deepEqual(api.calls, []);
  await press(page, "Go back");
  await heading(page, "Confirm your email address");
  await press(page, "I did not register");
  await press(page, "Delete the account");
  await heading(page, "The account is deleted");
  assert.deepEqual(api.sent(), [["DELETE", "auth/email-verifications", { token: TOKEN }]]);
});

test("where verification is required, the page asks for the password as well", async ({ page, open, api }) => {
  api.answer(refusal(403, "wrong_password"), refusal(403, "wrong_password"), { status: 204 });
  await open("verify-email", { token: TOKEN, server: settings.development });
  for (const wrong of ["first guess", "second guess"]) {
    await field(page, "Your password").fill(wrong);
    await press(page, "Confirm my address");
    await alerted(page, "That is not the password of this account.");
  }
  await field(page, "Your password").fill(PASSWORD);
  await press(page, "Confirm my address");
  await heading(page, "Your address is confirmed");
  assert.deepEqual(api.calls.at(-1).body, { token: TOKEN, password: PASSWORD });
  await open("verify-email", { token: TOKEN });
  await heading(page, "Confirm your email address");
  assert.equal(await page.getByLabel("Your password").count(), 0);
});

test("a password can be shown, and is hidden again when it is sent", async ({ page, open, api }) => {
  api.answer(refusal(422, "password_rejected", { errors: [] }));
  await open("reset-password", { token: TOKEN });
  const input = field(page, "New password");
  const toggle = page.getByRole("button", { name: "Show the password" });
  assert.equal(await input.getAttribute("autocomplete"), "new-password");
  await input.fill("abc");
  await toggle.click();
  assert.deepEqual([await input.getAttribute("type"), await toggle.getAttribute("aria-pressed")], ["text", "true"]);
  await input.press("Enter");
  await alerted(page, "Please choose another password.");
  assert.deepEqual([await input.getAttribute("type"), await toggle.getAttribute("aria-pressed")], ["password", "false"]);
});

test("another link that is opened in the same tab starts anew", async ({ page, open, api }) => {
  api.answer(UNUSABLE, { status: 204 });
  await open("verify-email", { token: "an-older-one" });
  await press(page, "Confirm my address");
  await heading(page, "This link has expired or was used");
  await open("verify-email", { token: TOKEN });
  await heading(page, "Confirm your email address");
  assert.ok(!page.url().includes("#"));
  await press(page, "Confirm my address");
  await heading(page, "Your address is confirmed");
  assert.deepEqual(api.calls.map(({ body }) => body.token), ["an-older-one", TOKEN]);
});

test("without JavaScript the page says what it needs", async ({ browser }) => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`${settings.url}/account/reset-password#token=${TOKEN}`);
  await page.locator("noscript p").waitFor();
  assert.equal(await page.locator("form:visible").count(), 0);
  await context.close();
});

test("the pages work below a path of a proxy", async ({ page, api, context }) => {
  await context.route("**/accounts/account/**", async (route) => {
    const url = route.request().url().replace("/accounts/", "/");
    await route.fulfill({ response: await route.fetch({ url, headers: { "X-Forwarded-Prefix": "/accounts" } }) });
  });
  const paths = [];
  page.on("request", (request) => paths.push(new URL(request.url()).pathname));
  await page.goto(`${settings.url}/accounts/account/verify-email#token=${TOKEN}`);
  await press(page, "Confirm my address");
  await heading(page, "Your address is confirmed");
  assert.equal(api.calls.length, 1);
  assert.deepEqual(paths.filter((path) => !path.startsWith("/accounts/")), []);
  assert.ok(paths.includes("/accounts/api/v1/auth/email-verifications"));
});
