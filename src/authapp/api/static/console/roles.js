// Roles: named sets of permissions.
import { act, onSubmit } from "./actions.js";
import { call, get, segment } from "./api.js";
import { AuthError } from "./client/index.js";
import { confirm, openDialog } from "./dialogs.js";
import { announce, button, byId, element } from "./dom.js";
import { paged } from "./lists.js";
import { may } from "./session.js";

const PROTECTED = "admin";
const EMPTY = { description: "", permissions: [] };

export async function roles(_query, { reload }) {
  const isWriter = may("roles:write");
  const list = await paged("roles", {}, {
    caption: "Roles",
    columns: ["Name", "Description", "Permissions", ...(isWriter ? ["Actions"] : [])],
    row: (role) => [
      element("a", { href: `#users?role=${role.name}` }, role.name), role.description || "–", role.permissions.join(", ") || "–",
      ...(isWriter ? [role.name === PROTECTED ? "cannot be changed" : [edit(role, reload), remove(role, reload)]] : []),
    ],
  });
  const create = button("New role", (control) => act(control, () => openForm(undefined, reload)), { kind: "" });
  return { title: "Roles", content: [isWriter && element("p", {}, create), list].filter(Boolean) };
}

function edit(role, reload) {
  return button("Edit", (control) => act(control, () => openForm(role.name, reload)), { name: `Edit ${role.name}` });
}

function remove(role, reload) {
  return button("Delete", (control) => act(control, async () => {
    await confirm(`Delete ${role.name}?`, "Everybody who has it loses it, from their next request on.", "Delete");
    await call("DELETE", `roles/${segment(role.name)}`);
    await reload();
  }, { done: `${role.name} is deleted.` }), { kind: "danger", name: `Delete ${role.name}` });
}

/** Open the form of a role as it is now, or of a new one. It stays open until the API has taken it. */
async function openForm(name, reload) {
  const role = name === undefined ? EMPTY : await find(name);
  const dialog = byId("role");
  const form = dialog.querySelector("form");
  const problem = dialog.querySelector(".problem");
  byId("role-title").textContent = name === undefined ? "New role" : `Edit ${name}`;
  problem.textContent = "";
  form.elements.name.value = name ?? "";
  form.elements.name.disabled = name !== undefined;
  form.elements.description.value = role.description;
  for (const box of form.querySelectorAll("[type=checkbox]")) {
    box.checked = role.permissions.includes(box.value);
    // Nobody can grant what they do not have.
    box.disabled = !box.checked && !may(box.value);
  }
  form.querySelector("[value=cancel]").onclick = () => dialog.close();
  onSubmit(form, async () => {
    const saved = form.elements.name.value;
    if (name === undefined) await call("POST", "roles", { body: { name: saved, ...changesIn(form, role) } });
    else await call("PATCH", `roles/${segment(name)}`, { body: async () => changesIn(form, role, await find(name)) });
    dialog.close();
    await reload();
    announce(`${saved} is saved.`);
  }, problem);
  await openDialog(dialog);
}

/** Return what was changed since the form was opened with `opened`, as a body for a role that is `current` by now. */
function changesIn(form, opened, current = opened) {
  const body = {};
  const description = form.elements.description.value;
  if (description !== opened.description) body.description = description;
  const changed = [...form.querySelectorAll("[type=checkbox]")].filter((box) => box.checked !== opened.permissions.includes(box.value));
  if (changed.length) {
    const kept = current.permissions.filter((permission) => !changed.some((box) => box.value === permission));
    body.permissions = [...kept, ...changed.filter((box) => box.checked).map((box) => box.value)];
  }
  return body;
}

/** Read a role. The API has no address for one, so this reads the list up to it. Throws an `AuthError` if it is gone. */
async function find(name) {
  let cursor;
  do {
    const page = await get("roles", { limit: 100, cursor });
    const found = page.items.find((role) => role.name === name);
    if (found) return found;
    cursor = page.next_cursor;
  } while (cursor);
  throw new AuthError(404, "not_found", { detail: `There is no role ${name} any more.` });
}
