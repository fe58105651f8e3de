// Roles: named sets of permissions.
import { Cancelled, call, messageOf, segment } from "./api.js";
import { act, confirm } from "./dialogs.js";
import { announce, button, byId, element } from "./dom.js";
import { paged } from "./lists.js";
import { may } from "./session.js";

const PROTECTED = "admin";

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
  const create = button("New role", () => openForm(undefined, reload), { kind: "" });
  return { title: "Roles", content: [isWriter && element("p", {}, create), list].filter(Boolean) };
}

function edit(role, reload) {
  return button("Edit", () => openForm(role, reload), { name: `Edit ${role.name}` });
}

function remove(role, reload) {
  return button("Delete", (control) => act(control, async () => {
    await confirm(`Delete ${role.name}?`, "Everybody who has it loses it, from their next request on.", "Delete");
    await call("DELETE", `roles/${segment(role.name)}`);
    await reload();
  }, `${role.name} is deleted.`), { kind: "danger", name: `Delete ${role.name}` });
}

/** Open the form of a role, or of a new one. It stays open until the API has taken it. */
function openForm(role, reload) {
  const dialog = byId("role");
  const form = dialog.querySelector("form");
  const problem = dialog.querySelector(".problem");
  byId("role-title").textContent = role ? `Edit ${role.name}` : "New role";
  problem.textContent = "";
  form.reset();
  form.elements.name.value = role?.name ?? "";
  form.elements.name.disabled = Boolean(role);
  form.elements.description.value = role?.description ?? "";
  for (const box of form.querySelectorAll("[type=checkbox]")) {
    box.checked = role?.permissions.includes(box.value) ?? false;
    // Nobody can give what they do not have.
    box.disabled = !box.checked && !may(box.value);
  }
  form.querySelector("[value=cancel]").onclick = () => dialog.close();
  form.onsubmit = async (event) => {
    event.preventDefault();
    const name = form.elements.name.value;
    const permissions = [...form.querySelectorAll(":checked")].map((box) => box.value);
    const body = { description: form.elements.description.value, permissions };
    try {
      if (role) await call("PATCH", `roles/${segment(name)}`, { body });
      else await call("POST", "roles", { body: { name, ...body } });
      dialog.close();
      await reload();
      announce(`${name} is saved.`);
    } catch (error) {
      if (!(error instanceof Cancelled)) problem.textContent = messageOf(error);
    }
  };
  dialog.showModal();
}
