// What the tests of the console share: accounts, made by the API, and ways around the page.
import assert from "node:assert/strict";
import { field, settings, test as testOf } from "./browser.mjs";
import { codeOf } from "./totp.mjs";

export const PASSWORD = "correct horse battery staple";
export const DESKTOP = { width: 1280, height: 800 };
export const HOSTILE = "<img src=x onerror=\"document.title='Mine'\"><script>document.title='Mine'</script>";

/** A test with the true API, in a window of a desktop. */
export function test(name, run) {
  testOf(name, async (tools) => {
    await tools.api.real();
    await tools.page.setViewportSize(DESKTOP);
    await run(tools);
  });
}

/** Send a request from no page. */
export async function send(method, path, { body, token, agent = "test" } = {}) {
  const response = await fetch(`${settings.url}/api/v1/${path}`, {
    method, body: body && JSON.stringify(body),
    headers: { "Content-Type": "application/json", "User-Agent": agent, ...(token && { Authorization: `Bearer ${token}` }) },
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : undefined };
}

export async function tokenOf(username, options) {
  const { status, body } = await send("POST", "auth/login", { body: { username, password: PASSWORD }, ...options });
  assert.equal(status, 200, JSON.stringify(body));
  return body.access_token;
}

let roots;
export const root = () => (roots ??= tokenOf("root"));
let users = 0;

/** Make an account, with a role that has these permissions. */
export async function anAccount({ permissions, roles = [], name = "user" } = {}) {
  const username = `${name}${users++}`;
  const token = await root();
  if (permissions) {
    roles = [`role-of-${username}`];
    assert.equal((await send("POST", "roles", { token, body: { name: roles[0], permissions } })).status, 201);
  }
  const body = { username, email: `${username}@example.com`, password: PASSWORD, roles };
  const made = await send("POST", "users", { token, body });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body;
}

/** Make an administrator with an authenticator app. `code()` is the next code. */
export async function anAdministratorWithApp() {
  const user = await anAccount({ roles: ["admin"], name: "chief" });
  const token = await tokenOf(user.username);
  const { body: { secret } } = await send("POST", "users/me/totp", { token, body: {} });
  let step = Math.floor(Date.now() / 30_000) - 1;
  const code = () => codeOf(secret, step++);
  const { status, body } = await send("PUT", "users/me/totp", { token, body: { code: code() } });
  assert.equal(status, 200, JSON.stringify(body));
  return { ...user, code, recoveryCodes: body.recovery_codes };
}

export async function logIn(page, username = "root", { hash = "", server = settings.url } = {}) {
  await page.goto(`${server}/console${hash}`);
  await field(page, "Username or email address").fill(username);
  await field(page, "Password").fill(PASSWORD);
  await press(page, "Log in");
}

export const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();

/** Go to a view, and wait until it is there. */
export async function visit(page, hash, title) {
  await page.evaluate((to) => { location.hash = to; }, hash);
  await heading(page, title);
}

export const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

/** Press a button, and the one of the dialog that asks. */
export async function confirm(page, name, verb = name) {
  await press(page, name);
  await page.getByRole("dialog").getByRole("button", { name: verb, exact: true }).click();
}

export const announced = (page, text) => page.getByRole("status").filter({ hasText: text }).waitFor();
export const complained = (page, text) => page.locator("#problem", { hasText: text }).waitFor();

/** Answer the next request of this kind as a session that is too old gets it; later ones are the API's. */
export async function askForRecentLogin(page, path) {
  await page.route(path, (route) => route.fulfill({
    status: 401, contentType: "application/problem+json",
    headers: { "WWW-Authenticate": 'Bearer realm="authapp", error="insufficient_user_authentication", max_age="300"' },
    body: JSON.stringify({ status: 401, code: "step_up_required", title: "The user has to be authenticated again." }),
  }), { times: 1 });
}
