// What the page is built of. Whatever the server says goes into it as text: no function here takes HTML.

export const byId = (id) => document.getElementById(id);

/** Make an element. Children are nodes, or text; `undefined` and `false` are left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== false && child !== null));
  return made;
}

export function button(text, run, { kind = "quiet", name = text } = {}) {
  const made = element("button", { type: "button", class: kind, "aria-label": name === text ? undefined : name }, text);
  made.addEventListener("click", () => run(made));
  return made;
}

const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A time as people here write it, with the exact one under the mouse; a dash for none. */
export function time(text) {
  if (!text) return "–";
  return element("time", { datetime: text, title: text }, DATE_TIME.format(new Date(text)));
}

/** A table. Each row is a card in a narrow window; the roles are explicit, because that style would remove them. */
export function table(caption, columns, { isWide = true } = {}) {
  const heads = columns.map((column) => element("th", { scope: "col", role: "columnheader" }, column));
  const body = element("tbody", { role: "rowgroup" });
  const made = element(
    "table", { role: "table", class: isWide && "cards" },
    element("caption", {}, caption),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)),
    body,
  );
  /** Add a row, and return it. `cells` has for each column a node, a text, or a list of them. */
  const add = (cells) => {
    const columnCells = cells.map((cell, index) => {
      const content = [cell].flat().flatMap((each, place) => (place ? [" ", each] : [each]));
      return element("td", { role: "cell", "data-column": columns[index] }, ...content);
    });
    const row = element("tr", { role: "row" }, ...columnCells);
    body.append(row);
    return row;
  };
  return { node: made, add, isEmpty: () => body.childElementCount === 0 };
}

export function facts(pairs) {
  return element("dl", {}, ...pairs.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, ...[value].flat()))));
}

export function clone(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

/** Say what was done, for everybody: it is shown, and screen readers say it. */
export function announce(text) {
  byId("problem").textContent = "";
  byId("status").textContent = text;
}

/** Say what went wrong, or with "" that nothing has. */
export function complain(text) {
  byId("status").textContent = "";
  byId("problem").textContent = text;
}
