import type { components } from "./schema.js";

export type Problem = components["schemas"]["Problem"];
export type ProblemCode = Problem["code"];

/** The server has refused a login, a refresh or a logout. */
export class AuthError extends Error {
  override readonly name = "AuthError";

  constructor(
    /** The status code of HTTP. */
    readonly status: number,
    /** What was refused, such as `invalid_credentials`; `undefined` if it was not authapp that answered. */
    readonly code: ProblemCode | undefined,
    /** The whole answer (RFC 9457). That of `second_factor_required` has `challenge` and `factors`. */
    readonly problem: Problem | undefined,
    /** In how many seconds to try again; of a 429 or 503. */
    readonly retryAfter: number | undefined,
  ) {
    super(problem?.title ?? `The server answered with ${status}.`);
  }
}

/** Return the problem that a response holds, if it holds a whole one. The response can still be read. */
export async function problemIn(response: Response): Promise<Problem | undefined> {
  if (!response.headers.get("Content-Type")?.startsWith("application/problem+json")) return undefined;
  return response.clone().json().catch(() => undefined) as Promise<Problem | undefined>;
}

export async function errorOf(response: Response): Promise<AuthError> {
  const problem = await problemIn(response);
  const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
  return new AuthError(response.status, problem?.code, problem, retryAfter);
}
