// From registration to a new password with the true API: each link is clicked in the mail at /dev/mail.
import assert from "node:assert/strict";
import { alerted, field, heading, press, settings, test } from "./browser.mjs";
import { codeOf } from "./totp.mjs";

const PASSWORD = "correct horse battery staple";
const OTHER_PASSWORD = "another staple for the battery";
const MAIL_WITHIN_MS = 15_000;

/** Register an account, and return its address of mail. */
async function register(page, username, server = settings.optional) {
  const email = `${username}@example.com`;
  const data = { username, email, password: PASSWORD };
  const response = await page.request.post(`${server}/api/v1/auth/register`, { data });
  assert.ok([201, 202].includes(response.status()), await response.text());
  return email;
}

async function logIn(page, username, password, server = settings.optional) {
  return page.request.post(`${server}/api/v1/auth/login`, { data: { username, password } });
}

async function loginStatus(...login) {
  return (await logIn(...login)).status();
}

/** Send a request with an access token, and return the body of the answer. */
async function call(page, method, path, token, data) {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await page.request.fetch(`${settings.optional}/api/v1/${path}`, { method, headers, data });
  assert.ok(response.ok(), await response.text());
  return response.json();
}

/** Return the code of an authenticator app, so many steps from now. */
const totp = (secret, steps = 0) => codeOf(secret, Math.floor(Date.now() / 30_000) + steps);

/** Return the newest mail to `email` whose link leads to the page `name`: its text, its link, and a way to click it. */
async function mailTo(page, email, name, server = settings.optional) {
  const deadline = Date.now() + MAIL_WITHIN_MS;
  while (Date.now() < deadline) {
    await page.goto(`${server}/dev/mail`);
    const listed = await page.getByRole("navigation").getByRole("link", { name: email }).all();
    for (const address of await Promise.all(listed.map((link) => link.getAttribute("href")))) {
      await page.goto(server + address);
      const link = page.locator("pre").getByRole("link", { name: `/account/${name}#token=` });
      if (await link.count()) return opened(page, link);
    }
    await page.waitForTimeout(200);
  }
  throw new Error(`no mail to ${email} with a link to ${name}`);
}

async function opened(page, link) {
  const [text, address] = [await page.locator("pre").textContent(), await link.getAttribute("href")];
  const click = async () => {
    const tab = page.context().waitForEvent("page");
    await link.click();
    return tab;
  };
  return { text, address, click };
}

test("a newcomer confirms the address and chooses a new password", async ({ page, api }) => {
  await api.real();
  const email = await register(page, "ada");
  let tab = await (await mailTo(page, email, "verify-email")).click();
  await press(tab, "Confirm my address");
  await heading(tab, "Your address is confirmed");

  await page.goto(`${settings.optional}/account/reset-password`);
  await field(page, "Email address").fill(email);
  await press(page, "Send me a link");
  await heading(page, "Look into your mailbox");
  const mail = await mailTo(page, email, "reset-password");
  tab = await mail.click();
  await field(tab, "New password").fill("password");
  await press(tab, "Save the new password");
  await alerted(tab, "Please choose another password.");
  await field(tab, "New password").fill(OTHER_PASSWORD);
  await press(tab, "Save the new password");
  await heading(tab, "Your new password is set");
  assert.equal(await loginStatus(page, "ada", PASSWORD), 401);
  assert.equal(await loginStatus(page, "ada", OTHER_PASSWORD), 200);

  await tab.goto(mail.address);
  await field(tab, "New password").fill(PASSWORD);
  await press(tab, "Save the new password");
  await heading(tab, "This link has expired or was used");
});

test("who did not register deletes the account from the mail", async ({ page, api }) => {
  await api.real();
  const email = await register(page, "mallory");
  const tab = await (await mailTo(page, email, "verify-email")).click();
  await press(tab, "I did not register");
  await press(tab, "Delete the account");
  await heading(tab, "The account is deleted");
  assert.equal(await loginStatus(page, "mallory", PASSWORD), 401);
});

test("a link and a code from a mail log in", async ({ page, api }) => {
  await api.real();
  const email = await register(page, "grace");
  const window_ = await page.context().newPage();
  for (const way of ["link", "code"]) {
    await window_.goto(`${settings.optional}/account/login`);
    await field(window_, "Email address").fill(email);
    await press(window_, "Send me a mail");
    await heading(window_, "Look into your mailbox");
    let place = window_;
    if (way === "link") place = await (await mailTo(page, email, "login")).click();
    else await typeNewestCode(page, window_, email);
    await press(place, "Log in");
    await heading(place, "The login worked");
  }
});

test("a mail and a code of the app log in", async ({ page, api }) => {
  await api.real();
  const email = await register(page, "barbara");
  // Otherwise a login with a mail would claim the account, and remove its factors.
  const confirmed = await (await mailTo(page, email, "verify-email")).click();
  await press(confirmed, "Confirm my address");
  await heading(confirmed, "Your address is confirmed");
  const { access_token: token } = await (await logIn(page, "barbara", PASSWORD)).json();
  const { secret } = await call(page, "POST", "users/me/totp", token, {});
  const { recovery_codes: [recovery] } = await call(page, "PUT", "users/me/totp", token, { code: totp(secret, -1) });

  const reader = await page.context().newPage();
  let used = null;
  for (const way of ["app", "recovery code"]) {
    await page.goto(`${settings.optional}/account/login`);
    await field(page, "Email address").fill(email);
    await press(page, "Send me a mail");
    await heading(page, "Look into your mailbox");
    const mail = await nextLogin(reader, email, used);
    used = mail.address;
    const tab = await mail.click();
    await press(tab, "Log in");
    await heading(tab, "One more step");
    if (way === "recovery code") await press(tab, "Use a recovery code");
    const [label, code] = way === "app" ? ["Code of 6 digits", totp(secret)] : ["Recovery code", recovery];
    await field(tab, label).fill(code);
    await press(tab, "Log in");
    await heading(tab, "The login worked");
  }
  assert.equal((await call(page, "GET", "users/me/sessions", token)).items.length, 1, "the page left no session");
});

/** Return the newest mail with a login link, once it is another one than `used`. */
async function nextLogin(page, email, used) {
  const deadline = Date.now() + MAIL_WITHIN_MS;
  let mail;
  do mail = await mailTo(page, email, "login"); while (mail.address === used && Date.now() < deadline);
  return mail;
}

/** Type the code of the newest mail; the one before has a code as well. */
async function typeNewestCode(page, place, email) {
  const mail = await nextLogin(page, email, (await mailTo(page, email, "login")).address);
  const [, code] = /\b(\d{4} ?\d{4})\b/.exec(mail.text.replace(mail.address, ""));
  await field(place, "Code of 8 digits").fill(code);
}

test("where verification is required, link and password together let in", async ({ page, api }) => {
  await api.real();
  const server = settings.required;
  const email = await register(page, "edsger", server);
  assert.equal(await loginStatus(page, "edsger", PASSWORD, server), 403);
  const tab = await (await mailTo(page, email, "verify-email", server)).click();
  await field(tab, "Your password").fill(OTHER_PASSWORD);
  await press(tab, "Confirm my address");
  await alerted(tab, "That is not the password of this account.");
  await field(tab, "Your password").fill(PASSWORD);
  await press(tab, "Confirm my address");
  await heading(tab, "Your address is confirmed");
  assert.equal(await loginStatus(page, "edsger", PASSWORD, server), 200);
});
