// The dialog that authenticates the user again, in the same session.
import { byId } from "./dom.js";
import { base, client, hasPasskeys, passkeyAnswer } from "./session.js";

const dialog = byId("step-up");
const form = dialog.querySelector("form");
const problem = dialog.querySelector(".problem");
const passkey = form.querySelector("[value=passkey]");
let running;

/**
 * Ask for what the account can prove, until it is right: `done`. It is `cancelled` if the user does not want to, and
 * `impossible` with `needsTwo` if the account has no second factor.
 */
export function stepUp({ needsTwo }) {
  running ??= ask(needsTwo).finally(() => (running = undefined));
  return running;
}

async function ask(needsTwo) {
  const found = offer(await factors());
  if (needsTwo && !found) return "impossible";
  problem.textContent = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const finish = (outcome) => (dialog.close(), form.reset(), resolve(outcome));
    const prove = async (proof) => {
      try {
        const answer = await proof();
        if (!answer) return;
        await client.stepUp(answer);
        finish("done");
      } catch (error) {
        problem.textContent = error.problem?.detail || error.message;
      }
    };
    form.onsubmit = (event) => (event.preventDefault(), prove(() => Object.fromEntries(typed())));
    passkey.onclick = () => prove(passkeyProof);
    form.querySelector("[value=cancel]").onclick = () => finish("cancelled");
    dialog.oncancel = (event) => (event.preventDefault(), finish("cancelled"));
  });
}

/** What the account can be authenticated by; the password, where a service has nothing else. */
async function factors() {
  const response = await client.fetch(new URL("api/v1/users/me/factors", base));
  return response.ok ? response.json() : { password: true };
}

/** Show the fields of these factors. The password does not do for an account with another one; returns whether it has. */
function offer({ totp, passkeys = [], recovery_codes: codes }) {
  const hasCode = Boolean(totp) || codes?.remaining > 0;
  passkey.hidden = !(passkeys.length && hasPasskeys);
  show("code", hasCode);
  const hasSecond = hasCode || passkeys.length > 0;
  show("password", !hasSecond);
  return hasSecond;
}

function show(proof, isShown) {
  const label = form.querySelector(`[data-proof=${proof}]`);
  label.hidden = !isShown;
  label.querySelector("input").disabled = !isShown;
  label.querySelector("input").required = isShown;
}

function typed() {
  return [...new FormData(form)].map(([name, value]) => [name, name === "code" ? value.trim() : value]);
}

async function passkeyProof() {
  const asked = await client.fetch(new URL("api/v1/auth/passkey-challenges", base), {
    method: "POST", headers: { "Content-Type": "application/json" }, body: "{}",
  });
  const options = await asked.json();
  const credential = await passkeyAnswer(options);
  return credential && { credential, challenge_id: options.challenge_id };
}
