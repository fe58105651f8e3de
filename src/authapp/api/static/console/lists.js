// Lists in pages: a page is asked for when somebody wants it, and nothing loads everything.
import { act } from "./actions.js";
import { get } from "./api.js";
import { button, element, table } from "./dom.js";

/** A page of the API may be empty although there is a next one: how many are read in a row before somebody is asked. */
const EMPTY_PAGES = 10;

/** Return a table of the first page of `path`, with a button for the next one. `row` makes the cells of an item. */
export async function paged(path, query, { caption, columns, row, nothing = "There is nothing.", limit = 25 }) {
  const shown = table(caption, columns);
  const hint = element("p");
  const more = button("Show more", (control) => act(control, showMore));
  let cursor;

  async function load() {
    let items = [];
    for (let page = 0; page < EMPTY_PAGES && !items.length && (page === 0 || cursor); page += 1) {
      ({ items, next_cursor: cursor } = await get(path, { ...query, limit, cursor }));
    }
    const rows = items.map((item) => shown.add(row(item)));
    more.hidden = !cursor;
    shown.node.hidden = shown.isEmpty();
    hint.hidden = !shown.isEmpty();
    hint.textContent = cursor ? "Nothing yet, and there is more to look through." : nothing;
    return rows;
  }

  async function showMore() {
    const hadFocus = document.activeElement === more;
    const [first = shown.isEmpty() ? hint : shown.node] = await load();
    // The button is gone with the last page; the keyboard goes on at what is new.
    if (hadFocus && more.hidden) focus(first);
  }

  await load();
  return element("div", {}, shown.node, hint, element("p", {}, more));
}

function focus(node) {
  node.tabIndex = -1;
  node.focus();
}

/** Fill a form of filters from the address, and let it change the address, which shows the list anew. */
export function filters(form, view, query, toQuery = (fields) => fields) {
  for (const [name, value] of Object.entries(query)) if (form.elements[name]) form.elements[name].value = value;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = Object.entries(toQuery(Object.fromEntries(new FormData(form)))).filter(([, value]) => value);
    const hash = `#${view}${fields.length ? `?${new URLSearchParams(fields)}` : ""}`;
    if (hash === location.hash) dispatchEvent(new HashChangeEvent("hashchange"));
    else location.hash = hash;
  });
  return form;
}
