// The page that logs in with a mail: a link or a code, together with the challenge of the browser that asked.
import assert from "node:assert/strict";
import { alerted, field, heading, press, refusal, test, TOKEN } from "./browser.mjs";

const ASKED = { status: 202, body: { challenge: "challenge-of-this-browser", expires_in: 600 } };
const PAIR = { status: 200, body: { access_token: "access-token", refresh_token: "refresh-token", token_type: "Bearer", expires_in: 900 } };

async function ask(page, open) {
  await open("login");
  await field(page, "Email address").fill("ada@example.com");
  await press(page, "Send me a mail");
  await heading(page, "Look into your mailbox");
}

test("a code from the mail logs in, with the challenge of this window", async ({ page, open, api }) => {
  api.answer(ASKED, PAIR);
  await ask(page, open);
  const input = field(page, "Code of 8 digits");
  assert.equal(await input.getAttribute("autocomplete"), "one-time-code");
  await input.fill("1234");
  await input.press("Enter");
  assert.equal(api.calls.length, 1, "half a code is not sent");
  await input.fill(" 1234 5678");
  await input.press("Enter");
  await heading(page, "The login worked");
  assert.deepEqual(api.sent(), [
    ["POST", "auth/login-links", { email: "ada@example.com" }],
    ["PUT", "auth/login-links", { challenge: ASKED.body.challenge, code: "12345678" }],
    ["POST", "auth/logout", null],
  ]);
  assert.equal(api.calls.at(-1).headers.authorization, "Bearer access-token");
});

test("a link that is opened in another tab of the same browser logs in", async ({ page, open, api, context }) => {
  api.answer(ASKED, PAIR);
  await ask(page, open);
  const tab = await context.newPage();
  await tab.goto(`${page.url()}#token=${TOKEN}`);
  await heading(tab, "Log in");
  assert.equal(api.calls.length, 1);
  await press(tab, "Log in");
  await heading(tab, "The login worked");
  assert.deepEqual(api.calls.at(-2).body, { challenge: ASKED.body.challenge, token: TOKEN });
});

test("nothing of a login is kept: no token, no challenge", async ({ page, open, api, context }) => {
  api.answer(ASKED, PAIR);
  await ask(page, open);
  await field(page, "Code of 8 digits").fill("12345678");
  await press(page, "Log in");
  await heading(page, "The login worked");
  assert.deepEqual(await page.evaluate(() => ({ ...localStorage, ...sessionStorage })), {});
  assert.ok(!(await page.content()).includes("access-token"));
  assert.deepEqual(await context.cookies(), []);
});

test("a link that was requested in another browser asks for the code there", async ({ page, open, api }) => {
  await open("login", { token: TOKEN });
  await heading(page, "You asked for this link elsewhere");
  assert.equal(await page.getByRole("button", { name: "Log in", exact: true }).count(), 0);
  assert.deepEqual(api.calls, []);
  await press(page, "Log in with this browser instead");
  await heading(page, "Log in with a mail");
});

test("a challenge that has expired is not used", async ({ page, open, api }) => {
  api.answer({ status: 202, body: { challenge: "an-old-one", expires_in: -1 } });
  await ask(page, open);
  await open("login", { token: TOKEN });
  await heading(page, "You asked for this link elsewhere");
  await page.reload();
  await heading(page, "Log in with a mail");
  assert.equal(await page.evaluate(() => localStorage.length), 0);
});

test("a wrong code can be corrected, and a challenge that is used up starts anew", async ({ page, open, api }) => {
  api.answer(ASKED, refusal(400, "one_time_token_invalid"), refusal(401, "challenge_invalid"), ASKED);
  await ask(page, open);
  const input = field(page, "Code of 8 digits");
  await input.fill("00000000");
  await press(page, "Log in");
  await alerted(page, "This code is wrong or has expired.");
  await press(page, "Log in");
  await heading(page, "This link has expired or was used");
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await field(page, "Email address").fill("ada@example.com");
  await press(page, "Send me a mail");
  await heading(page, "Look into your mailbox");
});

const SECOND = refusal(401, "second_factor_required", { challenge: "of-the-second-step", factors: ["totp"], expires_in: 300 });

async function askForSecondFactor(page, open) {
  await ask(page, open);
  await field(page, "Code of 8 digits").fill("12345678");
  await press(page, "Log in");
  await heading(page, "One more step");
}

test("an account with a second factor is asked for a code of its app", async ({ page, open, api }) => {
  api.answer(ASKED, SECOND, refusal(401, "second_factor_invalid"), PAIR, { status: 204 });
  await askForSecondFactor(page, open);
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  const input = field(page, "Code of 6 digits");
  await input.fill("000 000");
  await press(page, "Log in");
  await alerted(page, "This code is wrong, or was used before.");
  await input.fill("123 456");
  await press(page, "Log in");
  await heading(page, "The login worked");
  const body = (code) => ({ challenge: "of-the-second-step", factor: "totp", code });
  assert.deepEqual(api.sent().slice(2), [
    ["POST", "auth/second-factors", body("000000")],
    ["POST", "auth/second-factors", body("123456")],
    ["POST", "auth/logout", null],
  ]);
});

test("a recovery code takes the place of the app", async ({ page, open, api }) => {
  api.answer(ASKED, SECOND, PAIR, { status: 204 });
  await askForSecondFactor(page, open);
  await press(page, "Use a recovery code");
  await field(page, "Recovery code").fill("abcd-efgh-ijkl");
  await press(page, "Log in");
  await heading(page, "The login worked");
  const body = { challenge: "of-the-second-step", factor: "recovery_code", code: "abcd-efgh-ijkl" };
  assert.deepEqual(api.sent().at(-2), ["POST", "auth/second-factors", body]);
});

test("a second step that took too long begins with another mail", async ({ page, open, api }) => {
  api.answer(ASKED, SECOND, refusal(401, "challenge_invalid"));
  await askForSecondFactor(page, open);
  await field(page, "Code of 6 digits").fill("123456");
  await press(page, "Log in");
  await heading(page, "This link has expired or was used");
});

test("a login worked also if its end is not answered", async ({ page, open, api }) => {
  api.answer(ASKED, PAIR, { abort: true });
  await ask(page, open);
  await field(page, "Code of 8 digits").fill("12345678");
  await press(page, "Log in");
  await heading(page, "The login worked");
});

test("without storage, the code still works in the window that asked", async ({ page, open, api, context }) => {
  await context.addInitScript(() => {
    Object.defineProperty(window, "localStorage", { get() { throw new DOMException("", "SecurityError"); } });
  });
  api.answer(ASKED, PAIR);
  await ask(page, open);
  await field(page, "Code of 8 digits").fill("12345678");
  await press(page, "Log in");
  await heading(page, "The login worked");
  assert.equal(api.calls.at(-2).body.challenge, ASKED.body.challenge);
});
