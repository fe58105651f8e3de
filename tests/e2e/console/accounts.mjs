// Roles, resets, and the second proof that some of it asks for.
import assert from "node:assert/strict";
import { field } from "./browser.mjs";
import {
  PASSWORD, anAccount, anAdministratorWithApp, announced, askForRecentLogin, complained, confirm, heading, logIn, press, root, send,
  test, tokenOf, visit,
} from "./console.mjs";

const roleOf = async (user) => (await send("GET", `users/${user.id}`, { token: await root() })).body.roles;

test("roles are made, given, taken, changed and deleted", async ({ page }) => {
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
  await announced(page, "support is saved.");
  await visit(page, `#user?id=${user.id}`, user.username);
  await page.getByLabel("Role to give").fill("support");
  await press(page, "Give");
  await announced(page, "has support");
  const { body } = await send("GET", "users/me", { token: await tokenOf(user.username) });
  assert.deepEqual(body.permissions, ["audit:read", "users:read"]);
  await confirm(page, "Take support", "Take");
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
  const give = async () => {
    await page.getByLabel("Role to give").fill("admin");
    await press(page, "Give");
  };
  const asked = page.getByRole("dialog", { name: "Confirm that it is you" });
  const isPatch = (url) => url.pathname.endsWith(`/users/${user.id}`);
  await page.route(isPatch, async (route) => route.request().method() === "PATCH"
    ? route.fulfill({ status: 401, contentType: "application/problem+json", body: '{"code": "step_up_required"}' })
    : route.fallback());
  await give();
  await asked.waitFor();
  await page.keyboard.press("Escape");
  await asked.waitFor({ state: "hidden" });
  assert.deepEqual(await roleOf(user), []);
  await give();
  await asked.waitFor();
  await asked.getByLabel("Password").fill("wrong");
  await asked.getByRole("button", { name: "Continue" }).click();
  await asked.getByRole("alert").filter({ hasText: /./ }).waitFor();
  await page.unroute(isPatch);
  await asked.getByLabel("Password").fill(PASSWORD);
  await asked.getByRole("button", { name: "Continue" }).click();
  await announced(page, "has admin");
  assert.deepEqual(await roleOf(user), ["admin"]);
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

test("who needs a second factor and has none is told so", async ({ page }) => {
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
