// The API for the views. A refusal that asks for a recent login is answered by the user, and the request sent again.
import { AuthError } from "./client/index.js";
import { problemIn } from "./client/errors.js";
import { Cancelled } from "./problems.js";
import { contentOf, send } from "./requests.js";
import { stepUp } from "./step_up.js";

const NO_FACTOR = "This needs a second factor, and your account has none. Add an app or a passkey to it first.";

export const segment = encodeURIComponent;

export const get = (path, query, options) => call("GET", path, { query, ...options });

/**
 * Send a request, and return the content of the answer. Throws an `AuthError`, or `Cancelled`.
 *
 * A `body` that depends on what the server has now is a function, which is called before each time that the request is
 * sent: the dialog may have been open for an hour.
 */
export async function call(method, path, { body, ...options } = {}) {
  for (;;) {
    const response = await send(method, path, { ...options, body: typeof body === "function" ? await body() : body });
    const problem = response.ok ? undefined : await problemIn(response);
    if (problem?.code !== "step_up_required") return contentOf(response);
    const needsTwo = response.headers.get("WWW-Authenticate")?.includes('acr_values="mfa"') ?? false;
    const outcome = await stepUp({ needsTwo });
    if (outcome === "impossible") throw new AuthError(response.status, problem.code, { ...problem, detail: NO_FACTOR });
    if (outcome !== "done") throw new Cancelled();
  }
}
