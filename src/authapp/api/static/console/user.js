// One user: what is known, and what an administrator can do.
import { act, onSubmit } from "./actions.js";
import { call, get, segment } from "./api.js";
import { confirm } from "./dialogs.js";
import { announce, button, clone, element, facts, time } from "./dom.js";
import { details, source } from "./events.js";
import { paged } from "./lists.js";
import { may, principal } from "./session.js";
import { status } from "./users.js";

const { passwordResets } = document.body.dataset;

export async function user({ id }, { reload }) {
  const path = `users/${segment(id)}`;
  const account = await get(path);
  const content = [
    facts([
      ["Status", status(account)],
      ["Email", account.email ?? "none: a service account"],
      ["Email verified", time(account.email_verified_at)],
      ["Last login", time(account.last_login_at)],
      ["Created", time(account.created_at)],
      ["Changed", time(account.updated_at)],
      ["Id", element("code", {}, account.id)],
    ]),
  ];
  if (may("users:write")) content.push(element("h2", {}, "Account"), actions(account, path, reload));
  content.push(element("h2", {}, "Roles"), ...(await roles(account, path, reload)));
  if (may("audit:read")) content.push(element("h2", {}, "Latest events"), await events(account));
  return { title: account.username, content };
}

/** The buttons. Each asks first if it ends something, and shows the user anew. */
function actions(account, path, reload) {
  const isActive = account.status === "active";
  const change = (body) => () => call("PATCH", path, { body });
  const buttons = [];
  const add = (text, run, done, { question, danger = false } = {}) => {
    const kind = danger ? "danger" : "quiet";
    buttons.push(button(text, (control) => act(control, async () => {
      if (question) await confirm(`${text}?`, question, text);
      await run();
      await reload();
    }, { done }), { kind }));
  };
  const name = account.username;
  if (isActive) {
    add("Disable", change({ status: "disabled" }), `${name} is disabled.`, {
      danger: true, question: `${name} can no longer log in, and all tokens are refused from the next request on.`,
    });
    add("Forget failed logins", change({ status: "active" }), `The failed logins of ${name} are forgotten.`);
  } else {
    add("Enable", change({ status: "active" }), `${name} is enabled.`);
  }
  add("End all sessions", () => call("DELETE", `${path}/sessions`), `All sessions of ${name} have ended.`, {
    danger: true, question: `${name} is logged out everywhere, and can log in again.`,
  });
  if (account.kind === "person" && passwordResets !== undefined) {
    add("Force a password reset", () => call("PUT", `${path}/password`, { body: {} }), `${name} gets a mail.`, {
      danger: true, question: `The password of ${name} is void and every session ends. A mail has a link to choose another one.`,
    });
  }
  if (account.kind === "person") {
    add("Reset second factors", () => call("DELETE", `${path}/factors`), `${name} has no second factor any more.`, {
      danger: true, question: `For an owner who has lost them all: make sure that it is ${name} who asks. Every session ends.`,
    });
  }
  return element("p", { class: "buttons" }, ...buttons);
}

async function roles(account, path, reload) {
  /** The API takes the complete list, so it is read before each attempt: somebody else may have changed it. */
  const change = async (edit) => {
    await call("PATCH", path, { body: async () => ({ roles: edit((await get(path)).roles) }) });
    await reload();
  };
  const revoke = (role) => button("Revoke", (control) => act(control, async () => {
    await confirm(`Revoke ${role}?`, `${account.username} can no longer do what needs this role, from the next request on.`, "Revoke");
    await change((names) => names.filter((name) => name !== role));
  }, { done: `${account.username} no longer has ${role}.` }), { name: `Revoke ${role}` });
  const isWriter = may("users:write");
  const list = account.roles.map((role) => element("li", {}, element("span", {}, role), " ", isWriter && revoke(role)));
  const shown = list.length ? element("ul", { class: "rows" }, ...list) : element("p", {}, "None.");
  if (!isWriter) return [shown];
  const form = clone("grant-form");
  if (may("roles:read")) {
    const { items } = await get("roles", { limit: 100 });
    form.querySelector("datalist").append(...items.map(({ name }) => element("option", { value: name })));
  }
  onSubmit(form, async (fields) => {
    const role = fields.role.trim();
    await change((names) => [...new Set([...names, role])]);
    announce(`${account.username} has ${role}.`);
  });
  return [shown, form];
}

async function events(account) {
  const list = await paged("audit-events", { user_id: account.id }, {
    caption: `Events of ${account.username}`,
    columns: ["When", "Type", "From", "Details"],
    limit: 10,
    row: (event) => [time(event.occurred_at), event.type, source(event), details(event)],
  });
  const all = element("a", { href: `#events?user_id=${account.id}` }, "With filters and a chart");
  const own = element("a", { href: "#sessions" }, "Your sessions");
  return element("div", {}, list, element("p", {}, all, account.id === principal.id && " · ", account.id === principal.id && own));
}
