// The session of this tab, and who is logged in.
import { createClient } from "./client/index.js";

const { cookie, passkeys } = document.body.dataset;

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

/** Whether passkeys of this service can be used on this page, in this browser. */
export const hasPasskeys =
  passkeys.split(" ").includes(location.host) && Boolean(globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON);

/** Let the browser answer a challenge. Returns `undefined` if the user does not want to, or has no passkey. */
export async function passkeyAnswer(options) {
  try {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    return (await navigator.credentials.get({ publicKey }))?.toJSON();
  } catch {
    return undefined; // Browsers do not say which.
  }
}
