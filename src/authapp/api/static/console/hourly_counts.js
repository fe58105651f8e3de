// Logins and refusals per hour, counted from audit events.
import { get } from "./api.js";

const HOUR = 3_600_000;
const HOURS = 24;
const TYPES = { logins: ["session.started"], refusals: ["login.refused", "second_factor.refused"] };
/** How much is read of each type at most: the API counts nothing, so this page does. */
const PAGES = 10;
const LIMIT = 100;
export const MAX_EVENTS = PAGES * LIMIT;

/**
 * Count the hours before `until`, or before now, for all or for one user.
 *
 * Returns `{ hours: [{ hour, logins, refusals }], isCut }`. `hour` is in milliseconds, and `logins` and `refusals` are
 * `{ count, isCut }`: if there are more events than are read, the hours that were not reached are left out, and the newest
 * hour, if reading has stopped in it, is cut.
 */
export async function hourlyCounts({ user_id: userId, since, until }, signal) {
  const end = until ? new Date(until).getTime() : Date.now();
  const newest = (Math.ceil(end / HOUR) - 1) * HOUR;
  const begin = Math.max(newest - (HOURS - 1) * HOUR, since ? hourOf(since) : -Infinity);
  const query = { user_id: userId, since: new Date(begin).toISOString(), until: until && new Date(end).toISOString() };
  const read = (types) => Promise.all(types.map((type) => times({ ...query, type }, signal)));
  const series = await Promise.all(Object.entries(TYPES).map(async ([name, types]) => [name, await read(types)]));
  const stopped = Math.max(...series.flatMap(([, types]) => types.map(({ stoppedAt }) => stoppedAt)));
  const first = Math.max(begin, Math.min(Math.ceil(stopped / HOUR) * HOUR, newest));
  const hours = [];
  for (let hour = first; hour <= newest; hour += HOUR) {
    hours.push({ hour, ...Object.fromEntries(series.map(([name, types]) => [name, countIn(types, hour)])) });
  }
  return { hours, isCut: stopped > -Infinity };
}

function countIn(types, hour) {
  const count = types.flatMap(({ found }) => found.filter((time) => time >= hour && time < hour + HOUR)).length;
  return { count, isCut: types.some(({ stoppedAt }) => stoppedAt >= hour) };
}

function hourOf(text) {
  return Math.floor(new Date(text).getTime() / HOUR) * HOUR;
}

/** The times of the newest events of a type, and the one at which reading stopped before the end of the list. */
async function times(query, signal) {
  const found = [];
  let cursor;
  for (let page = 0; page < PAGES; page += 1) {
    const { items, next_cursor: next } = await get("audit-events", { ...query, limit: LIMIT, cursor }, { signal });
    found.push(...items.map((event) => new Date(event.occurred_at).getTime()));
    if (!next) return { found, stoppedAt: -Infinity };
    cursor = next;
  }
  return { found, stoppedAt: found.at(-1) };
}
