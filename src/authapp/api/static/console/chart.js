// Logins and refusals per hour: bars of SVG for who sees them, and a table with the numbers.
import { get, messageOf } from "./api.js";
import { element, table } from "./dom.js";

const HOUR = 3_600_000;
const HOURS = 24;
/** How much is read of each type at most: the API counts nothing, so this page does. */
const PAGES = 10;
const LIMIT = 100;
const SERIES = { Logins: ["session.started"], Refusals: ["login.refused", "second_factor.refused"] };
const CLOCK = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" });

/** A figure of the hours before `until`, or before now, for all or for one user. It loads when it is there. */
export function chart({ user_id: userId, since, until }) {
  const place = element("figure", { "aria-busy": "true" }, element("p", {}, "Counting logins…"));
  fill(place, userId, since, until).catch((error) => place.replaceChildren(element("p", {}, messageOf(error))));
  return place;
}

async function fill(place, userId, since, until) {
  const end = until ? new Date(until).getTime() : Date.now();
  const earliest = Math.floor(end / HOUR) * HOUR - (HOURS - 1) * HOUR;
  const begin = since ? Math.max(earliest, Math.floor(new Date(since).getTime() / HOUR) * HOUR) : earliest;
  const query = { user_id: userId, since: new Date(begin).toISOString(), until: until && new Date(end).toISOString() };
  const types = Object.entries(SERIES).flatMap(([name, all]) => all.map((type) => ({ name, type })));
  const read = await Promise.all(types.map(async ({ name, type }) => ({ name, ...(await times({ ...query, type })) })));
  // The hour at which reading stopped is not whole, and so the chart begins after it.
  const cut = Math.max(...read.map(({ from }) => from ?? -Infinity));
  const first = cut > -Infinity ? Math.min(Math.ceil(cut / HOUR) * HOUR, Math.floor(end / HOUR) * HOUR) : begin;
  const hours = [];
  for (let hour = first; hour < end; hour += HOUR) {
    const count = (series) =>
      read.filter(({ name }) => name === series)
        .flatMap(({ found }) => found.filter((time) => time >= hour && time < hour + HOUR)).length;
    hours.push({ hour, Logins: count("Logins"), Refusals: count("Refusals") });
  }
  place.replaceChildren(...parts(hours, cut > -Infinity));
  place.removeAttribute("aria-busy");
}

/** The times of the newest events of a type; `from` is where reading stopped before the end. */
async function times(query) {
  const found = [];
  let cursor;
  for (let page = 0; page < PAGES; page += 1) {
    const { items, next_cursor: next } = await get("audit-events", { ...query, limit: LIMIT, cursor });
    found.push(...items.map((event) => new Date(event.occurred_at).getTime()));
    if (!next) return { found };
    cursor = next;
  }
  return { found, from: found.at(-1) };
}

function counted(count, noun) {
  return `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;
}

function parts(hours, isCut) {
  const sum = (name) => hours.reduce((total, each) => total + each[name], 0);
  const most = Math.max(1, ...hours.flatMap(({ Logins, Refusals }) => [Logins, Refusals]));
  const [from, to] = [hours[0], hours.at(-1)].map((each) => (each ? CLOCK.format(each.hour) : "now"));
  const summary = `${counted(sum("Logins"), "login")} and ${counted(sum("Refusals"), "refusal")}, from ${from} on; at most ${most} in an hour.`;
  const numbers = table("Logins and refusals per hour", ["Hour from", "Logins", "Refusals"], { isWide: false });
  for (const { hour, Logins, Refusals } of hours) numbers.add([CLOCK.format(hour), String(Logins), String(Refusals)]);
  const cut = `This chart reads ${(PAGES * LIMIT).toLocaleString()} events of a type at most, and there are more: it begins at ${from}. ` +
    "Filter by a user or a time for the others; metrics count everything.";
  return [
    element("figcaption", {}, "Logins and refusals per hour"),
    isCut && element("p", { class: "hint" }, cut),
    drawing(hours, most, `Logins and refusals per hour: ${summary}`),
    element("p", { class: "axis", "aria-hidden": "true" }, element("span", {}, from), element("span", {}, to)),
    element("p", { class: "hint" }, element("span", { class: "key logins" }, "Logins"), " above the line, ",
      element("span", { class: "key refusals" }, "refusals"), ` below. ${summary}`),
    element("details", {}, element("summary", {}, "The numbers as a table"), numbers.node),
  ].filter(Boolean);
}

function svg(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Logins go up from the line, and refusals down: they differ by more than a colour. */
function drawing(hours, most, words) {
  const bars = hours.flatMap(({ hour, Logins, Refusals }, index) => {
    const title = () => svg("title", {}, `${CLOCK.format(hour)}: ${counted(Logins, "login")}, ${counted(Refusals, "refusal")}`);
    const bar = (kind, y, height) => svg("rect", { class: kind, x: index * 10 + 1.5, y, width: 7, height }, title());
    const [up, down] = [Logins, Refusals].map((count) => (count / most) * 48);
    return [bar("logins", 50 - up, up), bar("refusals", 50, down)];
  });
  const width = Math.max(1, hours.length) * 10;
  const line = svg("line", { x1: 0, x2: width, y1: 50, y2: 50, "vector-effect": "non-scaling-stroke" });
  return svg("svg", { role: "img", "aria-label": words, viewBox: `0 0 ${width} 100`, preserveAspectRatio: "none" }, ...bars, line);
}
