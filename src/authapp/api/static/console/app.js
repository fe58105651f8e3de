// The console: which view is shown, and who is logged in.
import { get, messageOf } from "./api.js";
import { act, report } from "./dialogs.js";
import { byId, complain, element } from "./dom.js";
import { events } from "./events.js";
import { hideLogin, showLogin, startLogin } from "./login.js";
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
let shown = 0;

/** Show what the address says. The view that was asked for last is shown, in whatever order they arrive. */
async function show({ moveFocus = true } = {}) {
  if (!principal.id) return;
  const turn = (shown += 1);
  const [name, query = ""] = location.hash.slice(1).split("?");
  const [view, needed] = VIEWS[name] ?? [];
  if (!view || (needed && !may(needed))) return void location.replace(`#${first()}`);
  const reload = () => show({ moveFocus: false });
  const place = byId("view");
  place.setAttribute("aria-busy", "true");
  let made;
  try {
    made = await view(Object.fromEntries(new URLSearchParams(query)), { reload });
  } catch (error) {
    if (turn === shown) report(error);
    made = { title: "Not shown", content: [] };
  }
  if (turn !== shown || !principal.id) return;
  place.replaceChildren(element("h1", { tabindex: "-1" }, made.title), ...made.content);
  place.removeAttribute("aria-busy");
  document.title = `${made.title} · Console`;
  for (const link of navigation.children) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // What had the focus is gone; the keyboard goes on at the beginning of what is new.
  if (moveFocus || document.activeElement === document.body) place.querySelector("h1").focus();
}

/** The first view that this account may see. */
function first() {
  return ["users", "events", "roles"].find((name) => may(VIEWS[name][1])) ?? "service";
}

async function enter() {
  become(await get("users/me"));
  hideLogin();
  complain("");
  byId("name").textContent = principal.username;
  for (const link of navigation.children) link.hidden = !may(VIEWS[link.hash.slice(1)][1]) && Boolean(VIEWS[link.hash.slice(1)][1]);
  navigation.hidden = byId("account").hidden = false;
  await show();
}

function leave(message) {
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

startLogin(enter);
try {
  if (await client.accessToken()) await enter();
  else showLogin();
} catch (error) {
  showLogin(messageOf(error));
}
