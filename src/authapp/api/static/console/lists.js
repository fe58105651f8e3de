// Lists in pages: a page is asked for when somebody wants it, and nothing loads everything.
import { get } from "./api.js";
import { act } from "./dialogs.js";
import { button, element, table } from "./dom.js";

/** Return a table of the first page of `path`, with a button for the next one. `row` makes the cells of an item. */
export async function paged(path, query, { caption, columns, row, nothing = "There is nothing.", limit = 25 }) {
  const shown = table(caption, columns);
  const place = element("div", {}, shown.node);
  const more = button("Show more", (control) => act(control, load));
  let cursor;

  async function load() {
    const page = await get(path, { ...query, limit, cursor });
    for (const item of page.items) shown.add(row(item));
    cursor = page.next_cursor;
    more.hidden = !cursor;
  }

  await load();
  if (shown.isEmpty()) shown.node.replaceWith(element("p", {}, nothing));
  place.append(element("p", {}, more));
  return place;
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
