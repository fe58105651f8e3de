// Roles, resets, and the second proof that some of it asks for.
import assert from "node:assert/strict";
import { field, settings } from "./browser.mjs";
import {
  PASSWORD, anAccount, anAdministratorWithApp, announced, askForRecentLogin, complained, confirm, heading, logIn, press, root, send,
  test, tokenOf, visit,
} from "./console.mjs";

const roleOf = async (user) => (await send("GET", `users/${user.id}`, { token: await root() })).body.roles;

test("roles are made, granted, revoked, changed and deleted", async ({ page }) => {
  const user = await anAccount();
  await logIn(page, "root", { hash: "#roles" });
  await press(page, "New role");
  const form = page.getByRole("dialog");
  await form.getByLabel("Name").fill("support");
  await form.getByLabel("Description").fill("Answers the phone.");
  await form.getByLabel("users:read").check();
  await press(page, "Save");
  await announced(page, "support is saved.");
  await press(page, "New role");
  await form.getByLabel("Name").fill("support");
  await press(page, "Save");
  await form.getByRole("alert").filter({ hasText: /./ }).waitFor();
  await press(page, "Cancel");
  await press(page, "Edit support");
  assert.equal(await form.getByLabel("Description").inputValue(), "Answers the phone.");
  await form.getByLabel("audit:read").check();
  await press(page, "Save");
  await page.locator("#view tr", { hasText: "support" }).getByText("audit:read, users:read").waitFor();
  await visit(page, `#user?id=${user.id}`, user.username);
  await page.getByLabel("Role to grant").fill("support");
  await press(page, "Grant");
  await announced(page, "has support");
  const { body } = await send("GET", "users/me", { token: await tokenOf(user.username) });
  assert.deepEqual(body.permissions, ["audit:read", "users:read"]);
  await confirm(page, "Revoke support", "Revoke");
  await announced(page, "no longer has support");
  assert.deepEqual(await roleOf(user), []);
  await visit(page, "#roles", "Roles");
  await confirm(page, "Delete support", "Delete");
  await announced(page, "support is deleted.");
});

test("a request that needs a recent login is sent again after the password, and not if it is refused", async ({ page }) => {
  const user = await anAccount();
  await logIn(page, "root", { hash: `#user?id=${user.id}` });
  await heading(page, user.username);
  const grant = async () => {
    await page.getByLabel("Role to grant").fill("admin");
    await press(page, "Grant");
  };
  const asked = page.getByRole("dialog", { name: "Confirm that it is you" });
  const letThrough = await refuseChanges(page, user);
  await grant();
  await asked.waitFor();
  await page.keyboard.press("Escape");
  await asked.waitFor({ state: "hidden" });
  assert.deepEqual(await roleOf(user), []);
  await grant();
  await asked.waitFor();
  await asked.getByLabel("Password").fill("wrong");
  await asked.getByRole("button", { name: "Continue" }).click();
  await asked.getByRole("alert").filter({ hasText: /./ }).waitFor();
  await letThrough();
  await asked.getByLabel("Password").fill(PASSWORD);
  await asked.getByRole("button", { name: "Continue" }).click();
  await announced(page, "has admin");
  assert.deepEqual(await roleOf(user), ["admin"]);
});

/** Ask for a recent login before each change of an account. Return what ends that. */
async function refuseChanges(page, { id }) {
  const isAccount = (url) => url.pathname.endsWith(`/users/${id}`);
  await page.route(isAccount, (route) => route.request().method() === "PATCH"
    ? route.fulfill({ status: 401, contentType: "application/problem+json", body: '{"code": "step_up_required"}' })
    : route.fallback());
  return () => page.unroute(isAccount);
}

const stepUpDialog = (page) => page.getByRole("dialog", { name: "Confirm that it is you" });

async function proveByPassword(page) {
  await stepUpDialog(page).getByLabel("Password").fill(PASSWORD);
  await stepUpDialog(page).getByRole("button", { name: "Continue" }).click();
}

async function grantRole(page, name) {
  await page.getByLabel("Role to grant").fill(name);
  await press(page, "Grant");
}

test("a role that was revoked while the dialog was open is not granted again", async ({ page }) => {
  const [helper, user] = [await anAccount({ permissions: ["users:read"] }), await anAccount()];
  const [role] = helper.roles;
  const token = await root();
  const setRoles = (roles) => send("PATCH", `users/${user.id}`, { token, body: { roles } });
  assert.equal((await setRoles([role])).status, 200);
  await logIn(page, "root", { hash: `#user?id=${user.id}` });
  await heading(page, user.username);
  const letThrough = await refuseChanges(page, user);
  await grantRole(page, "admin");
  await stepUpDialog(page).waitFor();
  await letThrough();
  assert.equal((await setRoles([])).status, 200);
  await proveByPassword(page);
  await announced(page, "has admin");
  assert.deepEqual(await roleOf(user), ["admin"]);
});

test("what somebody else has changed of a role meanwhile stays", async ({ page }) => {
  const { roles: [name] } = await anAccount({ permissions: ["users:read"] });
  const token = await root();
  const roleNow = async () => (await send("GET", "roles?limit=100", { token })).body.items.find((role) => role.name === name);
  const change = (body) => send("PATCH", `roles/${name}`, { token, body });
  await logIn(page, "root", { hash: "#roles" });
  await heading(page, "Roles");
  await change({ permissions: ["audit:read", "users:read"] });
  await press(page, `Edit ${name}`);
  const form = page.getByRole("dialog");
  assert.equal(await form.getByLabel("audit:read").isChecked(), true, "the form shows the role as it is");
  await form.getByLabel("Description").fill("Changed.");
  await change({ permissions: ["users:read"] });
  await press(page, "Save");
  await announced(page, `${name} is saved.`);
  assert.deepEqual(await roleNow(), { name, description: "Changed.", permissions: ["users:read"] });
  await press(page, `Edit ${name}`);
  await form.getByLabel("roles:read").check();
  await change({ description: "By another.", permissions: ["audit:read"] });
  await press(page, "Save");
  await page.locator("#view tr", { hasText: name }).getByText("audit:read, roles:read").waitFor();
  assert.deepEqual(await roleNow(), { name, description: "By another.", permissions: ["audit:read", "roles:read"] });
});

test("after a session has ended in the dialog, the dialog works for the next one", async ({ page }) => {
  const [chief, user] = [await anAccount({ roles: ["admin"] }), await anAccount()];
  await logIn(page, chief.username, { hash: `#user?id=${user.id}`, server: settings.elsewhere });
  await heading(page, user.username);
  const letThrough = await refuseChanges(page, user);
  await grantRole(page, "admin");
  await stepUpDialog(page).waitFor();
  await send("DELETE", `users/${chief.id}/sessions`, { token: await root() });
  await proveByPassword(page);
  await heading(page, "Log in");
  await stepUpDialog(page).waitFor({ state: "hidden" });
  await field(page, "Username or email address").fill(chief.username);
  await field(page, "Password").fill(PASSWORD);
  await press(page, "Log in");
  await heading(page, user.username);
  await grantRole(page, "admin");
  await stepUpDialog(page).waitFor();
  await letThrough();
  await proveByPassword(page);
  await announced(page, "has admin");
});

test("factors that the page cannot use are named", async ({ page }) => {
  const user = await anAccount();
  await page.route("**/auth/login", (route) => route.fulfill({
    status: 401, contentType: "application/problem+json",
    body: JSON.stringify({ code: "second_factor_required", challenge: "c", factors: ["card"] }),
  }), { times: 1 });
  await logIn(page, "root", { hash: `#user?id=${user.id}`, server: settings.elsewhere });
  await heading(page, "Second step");
  await complained(page, "This page cannot use your second factor: card.");
  await press(page, "Back to the password");
  await logIn(page, "root", { hash: `#user?id=${user.id}`, server: settings.elsewhere });
  await heading(page, user.username);
  await refuseChanges(page, user);
  const passkeys = [{ id: "p", name: "laptop" }];
  await page.route("**/users/me/factors", (route) => route.fulfill({ json: { password: true, totp: null, passkeys } }));
  await grantRole(page, "admin");
  await stepUpDialog(page).getByRole("alert").filter({ hasText: "This page cannot use your second factor: passkey." }).waitFor();
  assert.deepEqual(await stepUpDialog(page).locator(":is(button, input):visible").allTextContents(), ["Cancel"]);
  await press(page, "Cancel");
});

test("a refusal of the list of factors, or of a challenge for a passkey, is reported", async ({ page }) => {
  const user = await anAccount();
  const refusal = { status: 429, contentType: "application/problem+json", headers: { "Retry-After": "9" }, body: '{"title": "Slow down."}' };
  await page.route("**/auth/passkey-challenges", (route) => route.fulfill(refusal));
  await page.goto(`${settings.url}/console#user?id=${user.id}`);
  await press(page, "Log in with a passkey");
  await complained(page, "Slow down. Try again in 9 seconds.");
  await logIn(page, "root", { hash: `#user?id=${user.id}` });
  await heading(page, user.username);
  await refuseChanges(page, user);
  await page.route("**/users/me/factors", (route) => route.fulfill(refusal), { times: 1 });
  await grantRole(page, "admin");
  await complained(page, "Slow down. Try again in 9 seconds.");
  await page.route("**/users/me/factors", (route) => route.fulfill({ json: { password: true, passkeys: [{ id: "p" }] } }));
  await grantRole(page, "admin");
  await press(page, "Use a passkey");
  await stepUpDialog(page).getByRole("alert").filter({ hasText: "Slow down. Try again in 9 seconds." }).waitFor();
});

test("an administrator with a second factor logs in by two, and resets passwords and factors of others", async ({ page }) => {
  const chief = await anAdministratorWithApp();
  const user = await anAdministratorWithApp();
  await logIn(page, chief.username, { hash: `#user?id=${user.id}` });
  await heading(page, "Second step");
  await field(page, "Code of your app, or a recovery code").fill("000000");
  await press(page, "Continue");
  await page.locator("#problem:not(:empty)").waitFor();
  await field(page, "Code of your app, or a recovery code").fill(chief.code());
  await press(page, "Continue");
  await heading(page, user.username);
  await confirm(page, "Reset second factors");
  await announced(page, "has no second factor any more");
  const token = await tokenOf(user.username);
  await askForRecentLogin(page, `**/users/${user.id}/password`);
  await confirm(page, "Force a password reset");
  const asked = page.getByRole("dialog", { name: "Confirm that it is you" });
  // A password would not do.
  assert.equal(await asked.getByLabel("Password").isVisible(), false);
  await asked.getByLabel("Code of your app").fill(chief.code());
  await asked.getByRole("button", { name: "Continue" }).click();
  await announced(page, "gets a mail");
  assert.equal((await send("GET", "ping", { token })).status, 401);
  const body = { username: user.username, password: PASSWORD };
  assert.equal((await send("POST", "auth/login", { body })).body.code, "invalid_credentials");
});

test("a recovery code takes the place of the app", async ({ page }) => {
  const chief = await anAdministratorWithApp();
  await logIn(page, chief.username);
  await heading(page, "Second step");
  await field(page, "Code of your app, or a recovery code").fill(chief.recoveryCodes[0]);
  await press(page, "Continue");
  await heading(page, "Users");
});

test("an account without a second factor cannot do what needs one, and the page says why", async ({ page }) => {
  const user = await anAccount();
  await logIn(page, "root", { hash: `#user?id=${user.id}` });
  await heading(page, user.username);
  await confirm(page, "Reset second factors");
  await complained(page, "This needs a second factor, and your account has none.");
});

test("a passkey logs in, and proves again that it is its owner", async ({ page, context }) => {
  const user = await anAccount({ roles: ["admin"] });
  const session = await context.newCDPSession(page);
  await session.send("WebAuthn.enable");
  await session.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  await logIn(page, user.username);
  await heading(page, "Users");
  await page.evaluate(addPasskey, await tokenOf(user.username));
  await page.reload();
  await heading(page, "Log in");
  await press(page, "Log in with a passkey");
  await heading(page, "Users");
  await visit(page, `#user?id=${user.id}`, user.username);
  await askForRecentLogin(page, `**/users/${user.id}/sessions`);
  await confirm(page, "End all sessions");
  await page.getByRole("dialog").getByRole("button", { name: "Use a passkey" }).click();
  await heading(page, "Log in");
});

/** Runs in the page. It ends the page's own session, as every new factor does. */
async function addPasskey(token) {
  const post = async (path, body) => {
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
    return (await fetch(`api/v1/users/me/${path}`, { method: "POST", headers, body: JSON.stringify(body) })).json();
  };
  const options = await post("passkeys/challenges", {});
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const credential = (await navigator.credentials.create({ publicKey })).toJSON();
  await post("passkeys", { challenge_id: options.challenge_id, name: "laptop", credential });
}
