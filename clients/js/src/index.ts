import { AuthError, errorOf, problemIn, type ProblemCode } from "./errors.js";
import type { components } from "./schema.js";
import { inMemory, RefreshToken, type TokenStorage } from "./storage.js";

export { AuthError, type Problem, type ProblemCode } from "./errors.js";
export type { TokenStorage } from "./storage.js";

type Schemas = components["schemas"];
type TokenPair = Schemas["TokenPair"];

export interface ClientOptions {
  /** Where authapp is, without `/api/v1`: `https://auth.example.com`, or `https://example.com/auth` below a prefix. */
  baseUrl: string | URL;
  /**
   * Where the refresh token is. `"cookie"`: in one that no script can read (browsers; `AUTHAPP_REFRESH_COOKIE=on`).
   * `"memory"`, the default: it dies with the page. Or a storage, such as `localStorage`, which every script of the page
   * can read. The access token is in memory always.
   */
  storage?: "memory" | "cookie" | TokenStorage;
  /** What sends requests, in place of the global `fetch`. */
  fetch?: typeof fetch;
}

/** Told when the session is over: with the refusal, or with nothing after a logout in this client. */
export type LoggedOutListener = (reason: AuthError | undefined) => void;

export interface Client {
  /** Log in. Throws an `AuthError`; with `second_factor_required`, its `problem` has the challenge. */
  login(credentials: Schemas["Login"]): Promise<void>;
  /** Complete a login by a second factor. For a passkey without its `credential`, return what to ask the browser for. */
  completeLogin(step: Schemas["SecondFactor"]): Promise<Schemas["PasskeyRequestOptions"] | undefined>;
  /**
   * Authenticate the user again, after 401 `step_up_required`. Repeat that request afterwards. Throws, and sends nothing, if
   * somebody has logged in in another tab meanwhile: the proof is not theirs.
   */
  stepUp(proof: Schemas["StepUp"]): Promise<void>;
  /** Log in by another way that answers with tokens, such as `auth/passkey-logins`; by `PUT auth/login-links`, say so. */
  loginWith(path: string, body: unknown, options?: { method?: "POST" | "PUT" }): Promise<void>;
  /**
   * Log out. If this throws, the session may go on: the server refused, was not reached, or its answer was lost. Try again.
   * With `others` or `global` it throws as well, and ends nothing, if this session is over already or somebody has logged in
   * in another tab meanwhile: the sessions of that user go on.
   */
  logout(options?: { scope?: "local" | "others" | "global" }): Promise<void>;
  /**
   * `fetch` with the access token, for addresses of the origin of `baseUrl`, against which relative ones are resolved.
   * It renews a token that is about to expire, and repeats a request once whose token has expired or was revoked, in the
   * same session alone: never as somebody else, who has logged in in another tab. Other refusals are returned as they are.
   * A request that has an `Authorization` header, or is for another origin, is sent as it is.
   */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Return an access token that is good for now, or `undefined` if nobody is logged in. */
  accessToken(): Promise<string | undefined>;
  /** Call `listener` when the session is over. Return what ends that. */
  onLoggedOut(listener: LoggedOutListener): () => void;
  /**
   * Call `listener` when a refresh has brought another session than before: of a login in another tab, perhaps as somebody
   * else. What the page shows is of the session before. Return what ends that.
   */
  onSessionChanged(listener: () => void): () => void;
}

/** Seconds before its end at which an access token is renewed: at most, and as a part of its lifetime. */
const EARLY = 30;
const EARLY_PART = 0.1;
/** In milliseconds. Whatever waits for a request ends with it, and so nothing waits for ever. */
const TIMEOUT = 20_000;
/** The answers to a refresh that say that the session is over. Any other may be better the next time. */
const SESSION_OVER = new Set<ProblemCode | undefined>([
  "token_missing", "token_invalid", "token_expired", "token_revoked", "refresh_token_reused",
]);
/** What an access token is refused with that a refresh replaces, or of which it tells that its session is over. */
const REFUSED = new Set<ProblemCode | undefined>(["token_expired", "token_invalid", "token_revoked"]);

/** The access token to send, asked for when it is the turn of the request, and the method. */
interface TokenRequest {
  token?: () => string | undefined;
  method?: string | undefined;
}

export function createClient(options: ClientOptions): Client {
  const base = new URL(options.baseUrl, globalThis.location?.href);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  const api = new URL("api/v1/", base);
  const send: typeof fetch = (...request) => (options.fetch ?? globalThis.fetch)(...request);
  const storage = options.storage ?? "memory";
  const isCookie = storage === "cookie";
  const refreshToken = new RefreshToken(typeof storage === "string" ? inMemory() : storage, `authapp:${base.href}`);
  const loggedOutListeners = new Set<LoggedOutListener>();
  const sessionChangedListeners = new Set<() => void>();
  /** In milliseconds of the monotonic clock: what the computer takes for the time of day does not matter. */
  let access: { token: string; renewAt: number; endsAt: number } | undefined;
  /** With a cookie alone: nobody is logged in, as far as is known. */
  let isLoggedOut = false;
  let refreshing: Promise<string | undefined> | undefined;
  let lastTask: Promise<unknown> = Promise.resolve();

  /** Run what changes the tokens of this tab after what runs already. */
  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const run = lastTask.then(task);
    lastTask = run.catch(() => undefined);
    return run;
  }

  /** What a request about tokens has besides. */
  function tokenRequestInit(): RequestInit {
    const signal = AbortSignal.timeout(TIMEOUT);
    return isCookie ? { signal, credentials: "include", headers: { "X-Authapp-Cookie": "1" } } : { signal };
  }

  /** Send a request about tokens, and return the answer. Throws an `AuthError` for one that is a refusal. */
  async function call(path: string, body?: unknown, token?: string, method = "POST"): Promise<unknown> {
    const init = { method, ...tokenRequestInit(), ...(body !== undefined && { body: JSON.stringify(body) }) };
    const request = new Request(new URL(path, api), init);
    if (body !== undefined) request.headers.set("Content-Type", "application/json");
    const response = await send(token === undefined ? request : withToken(request, token));
    if (!response.ok) throw await errorOf(response);
    return response.status === 204 ? undefined : await response.json();
  }

  function remember(pair: TokenPair, since: number): void {
    if (isCookie && pair.refresh_token !== undefined) {
      throw new Error("The server sent the refresh token in the body: AUTHAPP_REFRESH_COOKIE is off.");
    }
    const endsAt = since + pair.expires_in * 1000;
    access = { token: pair.access_token, endsAt, renewAt: endsAt - Math.min(EARLY, pair.expires_in * EARLY_PART) * 1000 };
    isLoggedOut = false;
  }

  function forget(reason: AuthError | undefined): void {
    const isKnown = access !== undefined || (reason !== undefined && reason.code !== "token_missing");
    access = undefined;
    isLoggedOut = true;
    if (isKnown) for (const listener of loggedOutListeners) listener(reason);
  }

  /** Forget a session. What is stored may be of a login in another tab by now, and then it stays. */
  async function leave(token: string | undefined): Promise<void> {
    const stored = await refreshToken.read();
    if (isSameSession(token, stored)) await refreshToken.replace(stored, undefined);
    forget(undefined);
  }

  /** Throws if a refresh has brought another session than that of the access token `before`. */
  function requireSameSession(before: string | undefined): void {
    if (before !== undefined && access !== undefined && !isSameSession(before, access.token)) {
      throw new Error("Another session has begun in another tab. This was asked for in the one before.");
    }
  }

  /** Ask for tokens, and keep them if the answer has some. Return the answer. */
  function requestTokens(path: string, body: unknown, { token, method }: TokenRequest = {}): Promise<unknown> {
    return inTurn(async () => {
      const since = performance.now();
      const answer = await call(path, body, token?.(), method);
      if (isPair(answer)) {
        remember(answer, since);
        await refreshToken.write(answer.refresh_token);
      }
      return answer;
    });
  }

  /** Return another access token than `old`, or `undefined` if nobody is logged in. One exchange runs at a time. */
  function refresh(old: string | undefined): Promise<string | undefined> {
    refreshing ??= inTurn(async () => (access?.token === old ? renew(old) : access?.token)).finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  }

  async function renew(old: string | undefined): Promise<string | undefined> {
    const token = await exchange();
    if (old !== undefined && token !== undefined && !isSameSession(old, token)) {
      for (const listener of sessionChangedListeners) listener();
    }
    return token;
  }

  async function exchange(): Promise<string | undefined> {
    for (let isAgain = false; ; isAgain = true) {
      const since = performance.now();
      const sent = await refreshToken.read();
      let answer: unknown;
      try {
        if (!isCookie && sent === undefined) throw loggedOut();
        answer = await call("auth/refresh", sent && { refresh_token: sent });
      } catch (error) {
        if (!(error instanceof AuthError)) {
          // The answer may be lost, and the token exchanged. It is answered with the same successor again.
          if (isAgain) throw error;
        } else if (!SESSION_OVER.has(error.code)) {
          throw error;
        } else if (isAgain || (await refreshToken.read()) === sent) {
          await refreshToken.replace(sent, undefined);
          forget(error);
          return undefined;
        }
        continue;
      }
      const pair = pairIn(answer);
      remember(pair, since);
      await refreshToken.replace(sent, pair.refresh_token);
      return pair.access_token;
    }
  }

  async function accessToken(): Promise<string | undefined> {
    const now = performance.now();
    const old = access;
    if (old !== undefined && now < old.renewAt) return old.token;
    if (isCookie && isLoggedOut) return undefined;
    try {
      return await refresh(old?.token);
    } catch (error) {
      if (old !== undefined && now < old.endsAt) return old.token;
      throw error;
    }
  }

  async function fetchWithToken(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request = new Request(typeof input === "string" || input instanceof URL ? new URL(input, base) : input, init);
    if (new URL(request.url).origin !== base.origin || request.headers.has("Authorization")) return send(request);
    const before = access?.token;
    let token = await accessToken();
    if (token === undefined) return send(request);
    // What was asked for in one session is not done in another. With a token that has expired, the answer is 401.
    if (before !== undefined && !isSameSession(before, token)) token = before;
    const copy = isStream(init?.body) ? undefined : request.clone();
    const response = await send(withToken(request, token));
    if (response.status !== 401) return response;
    const code = (await problemIn(response))?.code;
    if (!REFUSED.has(code)) return response;
    const renewed = refresh(token);
    const newer = await (code === "token_expired" ? renewed : renewed.catch(() => undefined));
    const isRepeated = code !== "token_invalid" && newer !== undefined && isSameSession(token, newer);
    return isRepeated && copy !== undefined ? send(withToken(copy, newer)) : response;
  }

  return {
    fetch: fetchWithToken,
    accessToken,
    login: async (credentials) => void pairIn(await requestTokens("auth/login", credentials)),
    async completeLogin(step) {
      const answer = await requestTokens("auth/second-factors", step);
      return isPair(answer) ? undefined : (answer as Schemas["PasskeyRequestOptions"]);
    },
    loginWith: async (path, body, { method } = {}) => void pairIn(await requestTokens(path, body, { method })),
    async stepUp(proof) {
      const before = access?.token;
      await accessToken();
      const token = () => {
        requireSameSession(before);
        return access?.token;
      };
      try {
        pairIn(await requestTokens("auth/step-ups", proof, { token }));
      } catch (error) {
        // A refresh tells whether the session is over.
        if (error instanceof AuthError && REFUSED.has(error.code)) await refresh(access?.token);
        throw error;
      }
    },
    async logout({ scope = "local" } = {}) {
      const before = access?.token;
      if (!isCookie || !isLoggedOut) {
        // Always: the cookie, which counts before the access token, may be of another login by now.
        await refresh(before).catch((error) => {
          if (scope !== "local") throw error;
        });
      }
      if (scope !== "local") {
        if (access === undefined) throw loggedOut();
        requireSameSession(before);
      }
      const token = access?.token;
      const response = await fetchWithToken(`api/v1/auth/logout?scope=${scope}`, { method: "POST", ...tokenRequestInit() });
      const ended = token ?? access?.token;
      if (!response.ok) {
        const error = await errorOf(response);
        const isRevoked = error.code === "token_revoked" && isSameSession(ended, access?.token);
        // A 401 without a token here: nobody was logged in.
        if (scope !== "local" || error.status !== 401 || (access !== undefined && !isRevoked)) throw error;
      }
      if (scope !== "others") await inTurn(() => leave(ended));
    },
    onLoggedOut(listener) {
      loggedOutListeners.add(listener);
      return () => void loggedOutListeners.delete(listener);
    },
    onSessionChanged(listener) {
      sessionChangedListeners.add(listener);
      return () => void sessionChangedListeners.delete(listener);
    },
  };
}

function isPair(answer: unknown): answer is TokenPair {
  return typeof answer === "object" && answer !== null && "access_token" in answer;
}

/** Return an answer that has tokens. Throws for any other: what answers with success may be something before the server. */
function pairIn(answer: unknown): TokenPair {
  if (!isPair(answer)) throw new Error("The answer has no tokens.");
  return answer;
}

/** The refusal of a request that is not sent, since nobody is logged in. */
function loggedOut(): AuthError {
  return new AuthError(401, "token_missing", undefined, undefined);
}

/** Whether two tokens are of one login. */
function isSameSession(one: string | undefined, other: string | undefined): boolean {
  return one === other || (one !== undefined && other !== undefined && sessionOf(one) === sessionOf(other));
}

/** The `sid` of a token. What is no JWT is of no session but its own. */
function sessionOf(token: string): unknown {
  try {
    return JSON.parse(atob(token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/"))).sid;
  } catch {
    return token;
  }
}

/** Whether a body can be read once alone. */
function isStream(body: unknown): boolean {
  return typeof body === "object" && body !== null && ("getReader" in body || Symbol.asyncIterator in body);
}

function withToken(request: Request, token: string): Request {
  request.headers.set("Authorization", `Bearer ${token}`);
  return request;
}
