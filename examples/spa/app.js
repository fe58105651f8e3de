// A front end of authapp without a framework: log in, with a second factor where there is one, ask, and log out.
// The access token is in memory and the refresh token in a cookie, so a reload keeps the session and no script reads it.
import { AuthError, createClient } from "../../clients/js/dist/index.js";

const auth = createClient({ baseUrl: "http://localhost:8000", storage: "cookie" });
const element = (id) => document.getElementById(id);
let challenge;

function show(id, message = "") {
  for (const part of ["login", "factors", "account"]) element(part).hidden = part !== id;
  element("alert").textContent = message;
}

/** Return what the API answers; `undefined` if the session is over or another one, of which the listeners below are told. */
async function get(path) {
  const response = await auth.fetch(`/api/v1/${path}`);
  if (response.status === 401) return undefined;
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function showAccount() {
  // The first request after a load renews the session of the cookie, if there is one.
  if ((await auth.accessToken()) === undefined) {
    // If the session has ended, the login is here already, and says so.
    if (element("login").hidden) show("login");
    return;
  }
  const [user, sessions] = await Promise.all([get("users/me"), get("users/me/sessions")]);
  if (user === undefined || sessions === undefined) return;
  element("name").textContent = user.username;
  element("sessions").textContent = `${sessions.items.length}${sessions.next_cursor ? " or more" : ""} place(s)`;
  show("account");
}

/** Offer the factors of the account that this page knows. */
function showFactors(problem) {
  challenge = problem.challenge;
  const forms = [...element("factors").children];
  for (const form of forms) form.hidden = !problem.factors.includes(form.id);
  const isKnown = forms.some((form) => !form.hidden);
  show("factors", isKnown ? "" : `This page does not know your second factor: ${problem.factors.join(", ")}.`);
}

async function complete(step) {
  const options = await auth.completeLogin({ challenge, ...step });
  if (options === undefined) return showAccount();
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await navigator.credentials.get({ publicKey });
  await complete({ ...step, credential: credential.toJSON() });
}

/** Do what a person has asked for, and say what went wrong. */
async function attempt(run) {
  element("alert").textContent = "";
  try {
    await run();
  } catch (error) {
    // Too many wrong codes, or too late: the login begins anew.
    if (error.code === "challenge_invalid") show("login");
    element("alert").textContent = error instanceof AuthError ? error.message : "That did not work. Try again later.";
  }
}

function on(id, type, run) {
  element(id).addEventListener(type, (event) => {
    event.preventDefault();
    attempt(() => run(Object.fromEntries(type === "submit" ? new FormData(element(id)) : [])));
  });
}

on("login", "submit", async ({ username, password }) => {
  try {
    await auth.login({ username, password });
  } catch (error) {
    if (!(error instanceof AuthError) || error.code !== "second_factor_required") throw error;
    return showFactors(error.problem);
  } finally {
    element("login").elements.password.value = "";
  }
  await showAccount();
});

for (const factor of ["totp", "recovery_code", "passkey"]) {
  on(factor, "submit", async ({ code }) => {
    element(factor).reset();
    await complete({ factor, code });
  });
}

on("again", "click", showAccount);
on("logout", "click", () => auth.logout());
on("everywhere", "click", () => auth.logout({ scope: "global" }));

// Also when it was in another tab, on another device, or by an administrator: the next request finds out.
auth.onLoggedOut((reason) => show("login", reason ? "You have been logged out." : ""));
// Somebody has logged in in another tab.
auth.onSessionChanged(() => attempt(showAccount));

showAccount().catch(() => show("login", "The service cannot be reached. Try again later."));
