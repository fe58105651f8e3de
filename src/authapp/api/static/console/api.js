// Requests to the API. A refusal that asks for a recent login is answered by the user, and the request sent again.
import { base, client, principal } from "./session.js";
import { stepUp } from "./step_up.js";

const NO_FACTOR = "This needs a second factor, and your account has none. Add an app or a passkey to it first.";
const AGAIN = new Set(["step_up_required", "fresh_token_required"]);

/** The API has refused: `code` is what, and `message` is for people. */
export class Refusal extends Error {
  constructor({ code, title, detail, errors = [] }, status) {
    const reasons = errors.map((error) => error.detail).filter(Boolean);
    super([detail || title || `The server answered with ${status}.`, ...reasons].join(" "));
    this.code = code;
    this.status = status;
  }
}

/** The user does not want to, or is logged out: there is nothing more to say. */
export class Cancelled extends Error {}

/** Send a request to a path below `/api/v1/`, and return the answer. */
export async function call(method, path, { query, body } = {}) {
  const address = new URL(`api/v1/${path}`, base);
  for (const [name, value] of Object.entries(query ?? {})) if (value) address.searchParams.set(name, value);
  const headers = body && { "Content-Type": "application/json" };
  for (;;) {
    const response = await client.fetch(address, { method, headers, body: body && JSON.stringify(body) });
    if (response.ok) return response.status === 204 ? undefined : response.json();
    const problem = await response.json().catch(() => ({}));
    if (response.status === 401 && !principal.id) throw new Cancelled();
    if (!AGAIN.has(problem.code)) throw new Refusal(problem, response.status);
    const needsTwo = response.headers.get("WWW-Authenticate")?.includes('acr_values="mfa"') ?? false;
    const outcome = await stepUp({ needsTwo });
    if (outcome === "impossible") throw new Refusal({ ...problem, detail: NO_FACTOR }, 401);
    if (outcome !== "done") throw new Cancelled();
  }
}

/** Get what no token is needed for, such as the public keys: the status, and the answer. */
export async function open(path) {
  const response = await fetch(new URL(path, base), { credentials: "omit" });
  return { status: response.status, body: await response.json().catch(() => ({})) };
}

export const get = (path, query) => call("GET", path, { query });
export const segment = encodeURIComponent;

/** What went wrong, in words. */
export function messageOf(error) {
  if (error.code === "permission_denied") return `You may not do this. ${error.message}`;
  if (error.retryAfter) return `${error.message} Try again in ${error.retryAfter} seconds.`;
  if (error instanceof Refusal || error.name === "AuthError") return error.message;
  console.warn(error);
  return "The service did not answer. Try again in a moment.";
}
