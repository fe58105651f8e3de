// Users: the list, with a search.
import { clone, element, time } from "./dom.js";
import { filters, paged } from "./lists.js";

export function userLink({ id, username }) {
  return element("a", { href: `#user?id=${id}` }, username);
}

export async function users(query) {
  const list = await paged("users", query, {
    caption: "Users",
    columns: ["Username", "Email", "Status", "Roles", "Last login"],
    nothing: "No user matches.",
    row: (user) => [
      userLink(user), user.email ?? "(service)", status(user), user.roles.join(", ") || "–", time(user.last_login_at),
    ],
  });
  return { title: "Users", content: [filters(clone("user-filters"), "users", query), list] };
}

export function status({ status: word }) {
  return element("span", { class: `badge ${word}` }, word);
}
