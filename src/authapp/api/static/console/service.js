// The service itself: its health, and the keys that sign tokens.
import { act } from "./actions.js";
import { get } from "./api.js";
import { button, element, facts, table, time } from "./dom.js";
import { getAsGuest } from "./requests.js";
import { client, may } from "./session.js";

const DAY = 86_400_000;

export async function service(_query, { reload }) {
  const again = button("Check again", (control) => act(control, reload, { done: "Checked again." }));
  return {
    title: "Service",
    content: [element("h2", {}, "Health"), await health(), element("p", {}, again), element("h2", {}, "Keys"), ...(await keys())],
  };
}

async function health() {
  const [live, ready] = await Promise.all(["health/live", "health/ready"].map(answer));
  return facts([["Process", live], ["Requests", ready]]);
}

async function answer(path) {
  try {
    const { status, body } = await getAsGuest(path);
    if (status === 200) return element("span", { class: "badge active" }, body.status);
    return [element("span", { class: "badge disabled" }, String(status)), ` ${body.detail ?? body.title ?? ""}`];
  } catch {
    return element("span", { class: "badge disabled" }, "no answer");
  }
}

/** The public keys. They have no dates of their own; the rotations are in the audit trail. */
async function keys() {
  const { body } = await getAsGuest(".well-known/jwks.json");
  const rotations = may("audit:read") ? (await get("audit-events", { type: "key.rotated", limit: 100 })).items : [];
  const signing = await signingKey();
  const shown = table("Keys that verify tokens", ["Key", "Algorithm", "Use", "Made", "Signs since"]);
  for (const { kid, alg } of body.keys ?? []) {
    const dates = datesOf(kid, rotations);
    const use = kid === signing ? "signs" : dates.signs ? "verifies" : dates.made ? "stands by" : "verifies";
    shown.add([element("code", {}, kid), alg, use, age(dates.made), age(dates.signs)]);
  }
  const unknown = may("audit:read")
    ? ["A dash is a key from before the first rotation in the audit trail: ", element("code", {}, "flask keys list"), " has its date."]
    : ["The ages are in the audit trail, which needs the permission audit:read."];
  return [shown.isEmpty() ? element("p", {}, "No key is public: the service signs with HMAC.") : shown.node, element("p", { class: "hint" }, ...unknown)];
}

/** When a key was made, and when it began to sign. The rotations are newest first; one may sign with the same key as before. */
function datesOf(kid, rotations) {
  const first = (name) => rotations.findLast(({ details }) => details[name] === kid)?.occurred_at;
  const made = first("standby");
  return { made, signs: made && first("signs") };
}

function age(text) {
  if (!text) return "–";
  const days = Math.floor((Date.now() - new Date(text)) / DAY);
  return element("span", {}, time(text), element("small", {}, days === 1 ? "1 day old" : `${days} days old`));
}

/** The key of this page's own token, whose header names it: until the token is renewed, one that has just been replaced. */
async function signingKey() {
  const [header] = ((await client.accessToken()) ?? "").split(".");
  try {
    return JSON.parse(atob(header.replaceAll("-", "+").replaceAll("_", "/"))).kid;
  } catch {
    return undefined;
  }
}
