// The forms to log in: the password, and the second step of an account that has one.
import { act, onSubmit, report } from "./actions.js";
import { byId, complain } from "./dom.js";
import { hasPasskeys, passkeyAnswer, passkeyProof } from "./passkeys.js";
import { messageOf, unusable } from "./problems.js";
import { client } from "./session.js";

const SECTIONS = ["login", "second-step"];
let challenge;
let done;

/** Show the form, with what has gone wrong. */
export function showLogin(message = "") {
  show("login");
  complain(message);
}

export function hideLogin() {
  for (const id of SECTIONS) byId(id).hidden = true;
}

function show(id) {
  for (const each of SECTIONS) byId(each).hidden = each !== id;
  byId("view").replaceChildren();
  document.title = `${byId(id).querySelector("h1").textContent} · Console`;
  [...byId(id).querySelectorAll("input, button")].find((control) => control.checkVisibility())?.focus();
}

/** Return a function that logs in by `run`, unless that returns `false`. A second step is asked for where there is one. */
function loggingIn(run) {
  return async (fields) => {
    complain("");
    try {
      if ((await run(fields)) === false) return;
      for (const form of document.querySelectorAll("#login form, #second-step form")) form.reset();
      await done();
    } catch (error) {
      if (error.code === "challenge_invalid") showLogin(messageOf(error));
      else if (error.code === "second_factor_required") showSecondStep(error.problem);
      else report(error);
    }
  };
}

function showSecondStep({ challenge: given, factors }) {
  challenge = given;
  const hasPasskey = hasPasskeys && factors.includes("passkey");
  const hasCode = factors.includes("totp") || factors.includes("recovery_code");
  byId("passkey-step").hidden = !hasPasskey;
  byId("code-form").hidden = !hasCode;
  show("second-step");
  if (!hasPasskey && !hasCode) complain(unusable(factors));
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
  const proof = await passkeyProof();
  if (!proof) return false;
  await client.loginWith("auth/passkey-logins", proof);
}

function onClick(id, run) {
  byId(id).addEventListener("click", ({ currentTarget }) => act(currentTarget, loggingIn(run)));
}

/** Make the forms work. `onDone` is called after each login. */
export function startLogin(onDone) {
  done = onDone;
  onSubmit(byId("password-form"), loggingIn(({ username, password }) => client.login({ username, password })));
  onSubmit(byId("code-form"), loggingIn(({ code }) => client.completeLogin(codeStep(code))));
  byId("passkey-login").hidden = !hasPasskeys;
  onClick("passkey-login", passkeyLogin);
  onClick("passkey-step", passkeyStep);
  byId("back").addEventListener("click", () => showLogin());
}
