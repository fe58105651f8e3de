// The session of this tab, and who is logged in.
import { createClient } from "./client/index.js";

const { cookie } = document.body.dataset;

/** Where the service is, also below a path of a proxy: the page is `console` there. */
export const base = new URL(".", location.href);

// The access token is in memory. So is the refresh token, unless the service keeps it in a cookie, which it takes from
// pages of its own address alone. A reload then goes on with the session.
export const client = createClient({ baseUrl: base, storage: cookie === location.origin ? "cookie" : "memory" });

/** The account that is logged in, with its permissions. */
export const principal = {};

export function become(user) {
  Object.assign(principal, user);
}

export function may(permission) {
  return principal.permissions?.includes(permission) ?? false;
}
