/** The server has refused a login, a refresh or a logout. */
export class AuthError extends Error {
    status;
    code;
    problem;
    retryAfter;
    name = "AuthError";
    constructor(
    /** The status code of HTTP. */
    status, 
    /** What was refused, such as `invalid_credentials`; `undefined` if it was not authapp that answered. */
    code, 
    /** The whole answer (RFC 9457). That of `second_factor_required` has `challenge` and `factors`. */
    problem, 
    /** In how many seconds to try again; of a 429 or 503. */
    retryAfter) {
        super(problem?.title ?? `The server answered with ${status}.`);
        this.status = status;
        this.code = code;
        this.problem = problem;
        this.retryAfter = retryAfter;
    }
}
/** Return the problem that a response holds, if it holds a whole one. The response can still be read. */
export async function problemIn(response) {
    if (!response.headers.get("Content-Type")?.startsWith("application/problem+json"))
        return undefined;
    return response.clone().json().catch(() => undefined);
}
export async function errorOf(response) {
    const problem = await problemIn(response);
    const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
    return new AuthError(response.status, problem?.code, problem, retryAfter);
}
