// The forms to log in: the password, and the second step of an account that has one.
import { messageOf } from "./api.js";
import { byId, complain } from "./dom.js";
import { base, client, hasPasskeys, passkeyAnswer } from "./session.js";

let challenge;
let done;

/** Show the form. `onDone` is called after each login. */
export function showLogin(message = "") {
  show("login");
  complain(message);
}

export function hideLogin() {
  for (const id of ["login", "second-step"]) byId(id).hidden = true;
}

function show(id) {
  for (const each of ["login", "second-step"]) byId(each).hidden = each !== id;
  byId("view").replaceChildren();
  document.title = `${byId(id).querySelector("h1").textContent} · Console`;
  byId(id).querySelector("input").focus();
}

/** Run what logs in, and say what went wrong. A second step is asked for where there is one. */
async function attempt(run) {
  complain("");
  try {
    if ((await run()) === false) return;
    for (const form of document.querySelectorAll("#login form, #second-step form")) form.reset();
    await done();
  } catch (error) {
    if (error.code === "challenge_invalid") showLogin(error.message);
    else if (error.code === "second_factor_required") showSecondStep(error.problem);
    else complain(messageOf(error));
  }
}

function showSecondStep({ challenge: given, factors }) {
  challenge = given;
  byId("passkey-step").hidden = !(hasPasskeys && factors.includes("passkey"));
  byId("code-form").hidden = !factors.some((factor) => factor === "totp" || factor === "recovery_code");
  show("second-step");
}

/** Six digits are of an app; a recovery code has letters. */
function codeStep(code) {
  return { challenge, factor: /^[\d\s]+$/.test(code) ? "totp" : "recovery_code", code: code.replace(/\s/g, "") };
}

async function passkeyStep() {
  const options = await client.completeLogin({ challenge, factor: "passkey" });
  const credential = await passkeyAnswer(options);
  if (!credential) return false;
  await client.completeLogin({ challenge, factor: "passkey", credential });
}

async function passkeyLogin() {
  const address = new URL("api/v1/auth/passkey-challenges", base);
  const asked = await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  const options = await asked.json();
  const credential = await passkeyAnswer(options);
  if (!credential) return false;
  await client.loginWith("auth/passkey-logins", { challenge_id: options.challenge_id, credential });
}

function onSubmit(id, run) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => run(Object.fromEntries(new FormData(event.target))));
  });
}

export function startLogin(onDone) {
  done = onDone;
  onSubmit("password-form", ({ username, password }) => client.login({ username, password }));
  onSubmit("code-form", ({ code }) => client.completeLogin(codeStep(code)));
  byId("passkey-login").hidden = !hasPasskeys;
  byId("passkey-login").addEventListener("click", () => attempt(passkeyLogin));
  byId("passkey-step").addEventListener("click", () => attempt(passkeyStep));
  byId("back").addEventListener("click", () => showLogin());
}
