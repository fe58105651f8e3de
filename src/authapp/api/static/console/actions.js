// What buttons and forms do: once at a time, and saying what has come of it.
import { announce, complain } from "./dom.js";
import { Cancelled, messageOf } from "./problems.js";

/** Say what went wrong, unless the user knows: in the element `problem`, such as that of a dialog, or for the page. */
export function report(error, problem) {
  if (error instanceof Cancelled) return;
  if (problem) problem.textContent = messageOf(error);
  else complain(messageOf(error));
}

/** Run what `control` does, unless it runs already. Announce `done` afterwards, or say in `problem` what went wrong. */
export async function act(control, run, { done, problem } = {}) {
  if (control.getAttribute("aria-disabled") === "true") return;
  control.setAttribute("aria-disabled", "true");
  if (problem) problem.textContent = "";
  try {
    await run();
    if (done) announce(done);
  } catch (error) {
    report(error, problem);
  } finally {
    control.removeAttribute("aria-disabled");
  }
}

/** Let a form run `run` with its fields when it is sent, in place of what it ran before. */
export function onSubmit(form, run, problem) {
  form.onsubmit = (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(form));
    act(form.querySelector("button:not([type])"), () => run(fields), { problem });
  };
}
