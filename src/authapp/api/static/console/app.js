// The console: which view is shown, and who is logged in.
import { act, report } from "./actions.js";
import { get } from "./api.js";
import { byId, complain, element } from "./dom.js";
import { events } from "./events.js";
import { hideLogin, showLogin, startLogin } from "./login.js";
import { Cancelled, messageOf } from "./problems.js";
import { roles } from "./roles.js";
import { service } from "./service.js";
import { become, client, may, principal } from "./session.js";
import { sessions } from "./sessions.js";
import { user } from "./user.js";
import { users } from "./users.js";

/** Each view with the permission that it needs. */
const VIEWS = {
  users: [users, "users:read"], user: [user, "users:read"], roles: [roles, "roles:read"], events: [events, "audit:read"],
  service: [service], sessions: [sessions],
};
const navigation = document.querySelector("nav");
/** Ends what the view that is shown still loads. */
let loading = new AbortController();

/** Whether there is a view of this name that the account may see. */
function isAllowed(name) {
  if (!Object.hasOwn(VIEWS, name)) return false;
  const [, permission] = VIEWS[name];
  return !permission || may(permission);
}

/** Show what the address says. The view that was asked for last is shown, in whatever order they arrive. */
async function show({ moveFocus = true } = {}) {
  if (!principal.id) return;
  const [name, query = ""] = location.hash.slice(1).split("?");
  if (!isAllowed(name)) return void location.replace(`#${first()}`);
  loading.abort();
  const { signal } = (loading = new AbortController());
  const reload = () => show({ moveFocus: false });
  const place = byId("view");
  place.setAttribute("aria-busy", "true");
  let view;
  try {
    view = await VIEWS[name][0](Object.fromEntries(new URLSearchParams(query)), { reload, signal });
  } catch (error) {
    if (!signal.aborted) report(error);
    view = { title: "Not shown", content: [] };
  }
  if (signal.aborted) return;
  place.replaceChildren(element("h1", { tabindex: "-1" }, view.title), ...view.content);
  place.removeAttribute("aria-busy");
  document.title = `${view.title} · Console`;
  for (const link of navigation.children) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // What had the focus is gone; the keyboard goes on at the beginning of what is new.
  if (moveFocus || document.activeElement === document.body) place.querySelector("h1").focus();
}

/** The first view that this account may see. */
function first() {
  return ["users", "events", "roles"].find(isAllowed) ?? "service";
}

async function enter() {
  become(await get("users/me"));
  hideLogin();
  complain("");
  byId("name").textContent = principal.username;
  for (const link of navigation.children) link.hidden = !isAllowed(link.hash.slice(1));
  navigation.hidden = byId("account").hidden = false;
  await show();
}

function leave(message) {
  loading.abort();
  for (const name of Object.keys(principal)) delete principal[name];
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  navigation.hidden = byId("account").hidden = true;
  showLogin(message);
}

addEventListener("hashchange", () => {
  byId("problem").textContent = byId("status").textContent = "";
  show();
});
byId("logout").addEventListener("click", ({ target }) => act(target, () => client.logout()));
byId("skip").addEventListener("click", () => byId("main").querySelector(":is(section:not([hidden]), #view) h1")?.focus());
client.onLoggedOut((reason) => leave(reason ? "You have been logged out." : ""));
// Somebody has logged in in another tab: what is shown, and asked, is of the one before.
client.onSessionChanged(() => location.reload());

startLogin(enter);
try {
  if (await client.accessToken()) await enter();
  else showLogin();
} catch (error) {
  // Without a session any more, the login is here already, and says so.
  if (!(error instanceof Cancelled)) showLogin(messageOf(error));
}
