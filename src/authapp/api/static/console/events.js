// Audit events, with filters, and a chart of the logins among them.
import { chart } from "./chart.js";
import { clone, element, time } from "./dom.js";
import { filters, paged } from "./lists.js";
import { may, principal } from "./session.js";

/** Where something came from: an address, and what the program calls itself. */
export function source({ ip_address: address, user_agent: agent }) {
  return element("span", { class: "source" }, address ?? "–", agent && element("small", {}, agent));
}

export function details({ details: found }) {
  const pairs = Object.entries(found).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  return element("small", {}, pairs.join(", ") || "–");
}

function account(id) {
  if (!id) return "–";
  const short = id === principal.id ? principal.username : `…${id.slice(-12)}`;
  return may("users:read") ? element("a", { href: `#user?id=${id}`, title: id }, short) : element("span", { title: id }, short);
}

export async function events(query, { signal }) {
  const form = clone("event-filters");
  const shown = { ...query, since: local(query.since), until: local(query.until) };
  filters(form, "events", shown, (fields) => ({ ...fields, since: exact(fields.since), until: exact(fields.until) }));
  const list = await paged("audit-events", query, {
    caption: "Audit events, newest first",
    columns: ["When", "Type", "By", "Account", "From", "Details"],
    nothing: "There is no such event.",
    row: (event) => [
      time(event.occurred_at), event.type, account(event.actor_id), account(event.subject_id), source(event), details(event),
    ],
  });
  return { title: "Audit events", content: [form, chart(query, signal), list] };
}

/** The API takes exact times; the fields have those of the clock on the wall. */
function exact(text) {
  return text && new Date(text).toISOString();
}

function local(text) {
  const date = new Date(text ?? "");
  if (Number.isNaN(date.getTime())) return "";
  return new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
