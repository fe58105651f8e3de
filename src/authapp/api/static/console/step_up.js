// The dialog that authenticates the user again, in the same session.
import { act, onSubmit } from "./actions.js";
import { openDialog } from "./dialogs.js";
import { byId } from "./dom.js";
import { hasPasskeys, passkeyProof } from "./passkeys.js";
import { unusable } from "./problems.js";
import { contentOf, send } from "./requests.js";
import { client } from "./session.js";

const dialog = byId("step-up");
const form = dialog.querySelector("form");
const problem = dialog.querySelector(".problem");
const passkey = form.querySelector("[value=passkey]");
const submit = form.querySelector("button:not([type])");
let running;

/**
 * Ask for what the account can prove, until it is right: `done`. It is `cancelled` if the user does not want to or is
 * logged out, and `impossible` with `needsTwo` if the account has no second factor.
 */
export function stepUp({ needsTwo }) {
  running ??= ask(needsTwo).finally(() => (running = undefined));
  return running;
}

async function ask(needsTwo) {
  const factors = await factorsOfAccount();
  const hasCode = Boolean(factors.totp) || factors.recovery_codes?.remaining > 0;
  const hasPasskey = factors.passkeys?.length > 0;
  if (needsTwo && !hasCode && !hasPasskey) return "impossible";
  offer({ code: hasCode, passkey: hasPasskey && hasPasskeys, password: !hasCode && !hasPasskey });
  problem.textContent = hasPasskey && !hasPasskeys && !hasCode ? unusable(["passkey"]) : "";
  const outcome = await openDialog(dialog);
  form.reset();
  return outcome || "cancelled";
}

async function factorsOfAccount() {
  const response = await send("GET", "users/me/factors");
  // A service that has no second factors has no list of them.
  return response.status === 404 ? {} : contentOf(response);
}

/** Show the fields and buttons for some proofs. The password does not do for an account that has another. */
function offer(proofs) {
  passkey.hidden = !proofs.passkey;
  submit.hidden = !(proofs.code || proofs.password);
  for (const name of ["code", "password"]) {
    const label = form.querySelector(`[data-proof=${name}]`);
    const input = label.querySelector("input");
    label.hidden = input.disabled = !proofs[name];
    input.required = proofs[name];
  }
}

async function prove(proof) {
  if (!proof) return;
  await client.stepUp(proof);
  dialog.close("done");
}

onSubmit(form, ({ code, password }) => prove(code === undefined ? { password } : { code: code.trim() }), problem);
passkey.addEventListener("click", () => act(passkey, async () => prove(await passkeyProof()), { problem }));
form.querySelector("[value=cancel]").addEventListener("click", () => dialog.close());
