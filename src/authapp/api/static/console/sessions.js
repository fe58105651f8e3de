// The sessions of whoever is logged in. The API shows nobody else's: those of another user end all at once.
import { act } from "./actions.js";
import { call, segment } from "./api.js";
import { confirm } from "./dialogs.js";
import { button, element, time } from "./dom.js";
import { source } from "./events.js";
import { paged } from "./lists.js";
import { client } from "./session.js";

export async function sessions(_query, { reload }) {
  const end = (session) => button("End", (control) => act(control, async () => {
    await call("DELETE", `users/me/sessions/${segment(session.id)}`);
    await reload();
  }, { done: "The session has ended." }), { name: `End the session of ${session.ip_address ?? "an unknown address"}` });
  const leave = (text, scope, question) => button(text, (control) => act(control, async () => {
    await confirm(`${text}?`, question, text);
    await client.logout({ scope });
    if (scope === "others") await reload();
  }, { done: scope === "others" && "All other sessions have ended." }), { kind: "danger" });
  const list = await paged("users/me/sessions", {}, {
    caption: "Your sessions",
    columns: ["Last used", "Started", "From", "Logged in by", "Actions"],
    row: (session) => [
      time(session.last_used_at), time(session.created_at), source(session), session.amr.join(", "),
      session.current ? element("span", { class: "badge" }, "this one") : end(session),
    ],
  });
  const buttons = element(
    "p", { class: "buttons" },
    leave("End all others", "others", "Everything but this page is logged out."),
    leave("Log out everywhere", "global", "This page is logged out, too."),
  );
  return { title: "Your sessions", content: [list, buttons] };
}
