// A front end of authapp without a framework: log in, with a second factor where there is one, ask, and log out.
// The access token is in memory and the refresh token in a cookie, so a reload keeps the session and no script reads it.
import { AuthError, createClient } from "../../clients/js/dist/index.js";

const auth = createClient({ baseUrl: "http://localhost:8000", storage: "cookie" });
const element = (id) => document.getElementById(id);
let challenge;

function show(id, message = "") {
  for (const part of ["login", "code", "account"]) element(part).hidden = part !== id;
  element("alert").textContent = message;
}

async function get(path) {
  const response = await auth.fetch(`/api/v1/${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function showAccount() {
  // The first request after a load renews the session of the cookie, if there is one.
  if ((await auth.accessToken()) === undefined) return show("login");
  const [user, sessions] = await Promise.all([get("users/me"), get("users/me/sessions")]);
  element("name").textContent = user.username;
  element("sessions").textContent = `${sessions.items.length} place(s)`;
  show("account");
}

/** Run what a person has asked for, and say what went wrong. */
function on(id, event, run) {
  element(id).addEventListener(event, async (happened) => {
    happened.preventDefault();
    try {
      await run(Object.fromEntries(event === "submit" ? new FormData(element(id)) : []));
    } catch (error) {
      element("alert").textContent = error instanceof AuthError ? error.message : "That did not work. Try again later.";
    }
  });
}

on("login", "submit", async ({ username, password }) => {
  try {
    await auth.login({ username, password });
  } catch (error) {
    if (!(error instanceof AuthError) || error.code !== "second_factor_required") throw error;
    challenge = error.problem.challenge;
    return show("code");
  }
  element("login").reset();
  await showAccount();
});

on("code", "submit", async ({ code }) => {
  await auth.completeLogin({ challenge, factor: "totp", code });
  await showAccount();
});

on("again", "click", showAccount);
on("logout", "click", () => auth.logout());
on("everywhere", "click", () => auth.logout({ scope: "global" }));

// Also when it was in another tab, on another device, or by an administrator: the next request finds out.
auth.onSignedOut((reason) => show("login", reason ? "You have been logged out." : ""));

showAccount().catch(() => show("login", "The service cannot be reached. Try again later."));
