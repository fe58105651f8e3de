// Dialogs: what they are closed with, and the one that asks before what cannot be taken back.
import { byId } from "./dom.js";
import { Cancelled } from "./problems.js";

/** Open a dialog, and return with what it was closed: "" by Escape, by Cancel, and when the session is over. */
export async function openDialog(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue;
}

/** Ask before something is done. Throws `Cancelled` if the user does not want to. */
export async function confirm(title, text, verb) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  dialog.querySelector("[value=yes]").textContent = verb;
  if ((await openDialog(dialog)) !== "yes") throw new Cancelled();
}
