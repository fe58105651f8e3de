// One request to the API, and what its answer says.
import { errorOf } from "./client/errors.js";
import { Cancelled } from "./problems.js";
import { base, client } from "./session.js";

/** Send a request to a path below `/api/v1/`, and return the response. Throws `Cancelled` if nobody is logged in any more. */
export async function send(method, path, { query, body, signal } = {}) {
  const address = new URL(`api/v1/${path}`, base);
  for (const [name, value] of Object.entries(query ?? {})) if (value) address.searchParams.set(name, value);
  const headers = body && { "Content-Type": "application/json" };
  const response = await client.fetch(address, { method, headers, body: body && JSON.stringify(body), signal });
  if (response.status === 401 && (await client.accessToken()) === undefined) throw new Cancelled();
  return response;
}

/** Return the content of an answer, `undefined` for none. Throws an `AuthError` for a refusal. */
export async function contentOf(response) {
  if (!response.ok) throw await errorOf(response);
  return response.status === 204 ? undefined : response.json();
}

/** Get what needs no token, such as the public keys, from the server and not from a cache: the status, and the answer. */
export async function getAsGuest(path) {
  const response = await fetch(new URL(path, base), { credentials: "omit", cache: "no-cache" });
  return { status: response.status, body: await response.json().catch(() => ({})) };
}
