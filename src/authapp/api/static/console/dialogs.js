// Actions that people press, and the dialog that asks before one that cannot be taken back.
import { Cancelled, messageOf } from "./api.js";
import { announce, byId, complain } from "./dom.js";

/** Ask before something is done. Throws `Cancelled` if the user does not want to. */
export async function confirm(title, text, verb) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  dialog.querySelector("[value=yes]").textContent = verb;
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "yes") throw new Cancelled();
}

/** Say what went wrong, unless the user knows. */
export function report(error) {
  if (!(error instanceof Cancelled)) complain(messageOf(error));
}

/** Run what a control does, once at a time; say that it is done, or what went wrong. */
export async function act(control, run, done) {
  if (control.getAttribute("aria-disabled") === "true") return;
  control.setAttribute("aria-disabled", "true");
  try {
    await run();
    if (done) announce(done);
  } catch (error) {
    report(error);
  } finally {
    control.removeAttribute("aria-disabled");
  }
}
