// Logins and refusals per hour: bars of SVG for those who see them, and a table with the numbers.
import { element, table } from "./dom.js";
import { hourlyCounts, MAX_EVENTS } from "./hourly_counts.js";
import { messageOf } from "./problems.js";

const TITLE = "Logins and refusals per hour";
const CLOCK = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" });

/** A figure of the hours that `query` asks for. It loads when it is there, until `signal` says that it is not shown. */
export function chart(query, signal) {
  const place = element("figure", { "aria-busy": "true" }, element("p", {}, "Counting logins…"));
  fill(place, query, signal).catch((error) => {
    if (!signal.aborted) place.replaceChildren(element("p", {}, messageOf(error)));
  });
  return place;
}

async function fill(place, query, signal) {
  const { hours, isCut } = await hourlyCounts(query, signal);
  place.replaceChildren(...parts(hours, isCut));
  place.removeAttribute("aria-busy");
}

/** A count as it is said: one that is cut is a lower bound. */
function countText({ count, isCut }) {
  return `${isCut ? "at least " : ""}${count.toLocaleString()}`;
}

function countOf(count, noun) {
  return `${countText(count)} ${noun}${count.count === 1 ? "" : "s"}`;
}

function sum(counts) {
  return { count: counts.reduce((total, { count }) => total + count, 0), isCut: counts.some(({ isCut }) => isCut) };
}

function parts(hours, isCut) {
  const all = hours.flatMap(({ logins, refusals }) => [logins, refusals]);
  const most = all.reduce((one, other) => (other.count > one.count ? other : one), { count: 0, isCut: false });
  const [from, to] = [hours[0], hours.at(-1)].map((each) => (each ? CLOCK.format(each.hour) : "now"));
  const [logins, refusals] = [sum(hours.map((each) => each.logins)), sum(hours.map((each) => each.refusals))];
  const summary = `${countOf(logins, "login")} and ${countOf(refusals, "refusal")}, from ${from} on; ` +
    `${most.isCut ? countText(most) : `at most ${countText(most)}`} in an hour.`;
  const numbers = table(TITLE, ["Hour from", "Logins", "Refusals"], { isWide: false });
  for (const each of hours) numbers.add([CLOCK.format(each.hour), countText(each.logins), countText(each.refusals)]);
  const cut = `This chart reads ${MAX_EVENTS.toLocaleString()} events of a type at most, and there are more: it begins at ${from}. ` +
    "Filter by a user or a time for the others; metrics count everything.";
  return [
    element("figcaption", {}, TITLE),
    isCut && element("p", { class: "hint" }, cut),
    drawing(hours, Math.max(1, most.count), `${TITLE}: ${summary}`),
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
  const bars = hours.flatMap(({ hour, logins, refusals }, index) => {
    const title = () => svg("title", {}, `${CLOCK.format(hour)}: ${countOf(logins, "login")}, ${countOf(refusals, "refusal")}`);
    const bar = (kind, y, height) => svg("rect", { class: kind, x: index * 10 + 1.5, y, width: 7, height }, title());
    const [up, down] = [logins, refusals].map(({ count }) => (count / most) * 48);
    return [bar("logins", 50 - up, up), bar("refusals", 50, down)];
  });
  const width = Math.max(1, hours.length) * 10;
  const line = svg("line", { x1: 0, x2: width, y1: 50, y2: 50, "vector-effect": "non-scaling-stroke" });
  return svg("svg", { role: "img", "aria-label": words, viewBox: `0 0 ${width} 100`, preserveAspectRatio: "none" }, ...bars, line);
}
