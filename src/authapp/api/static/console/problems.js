// What went wrong, in words for people.
import { AuthError } from "./client/index.js";

/** The user does not want to, or is logged out: there is nothing more to say. */
export class Cancelled extends Error {}

/** Return what to say of an error. `fetch` throws a `TypeError` or a `DOMException` where there is no answer. */
export function messageOf(error) {
  if (!(error instanceof AuthError)) {
    console.warn(error);
    const isNetwork = error instanceof TypeError || error instanceof DOMException;
    return isNetwork ? "The service did not answer. Try again in a moment." : `This page could not do that: ${error.message}`;
  }
  const { status, problem, retryAfter } = error;
  return [
    error.code === "permission_denied" && "You may not do this.",
    problem?.detail || problem?.title || `The server answered with ${status}.`,
    ...(problem?.errors ?? []).map(({ detail }) => detail),
    retryAfter && `Try again in ${retryAfter} seconds.`,
  ].filter(Boolean).join(" ");
}

/** Return what to say to somebody whose second factors this page cannot ask for. */
export function unusable(factors) {
  return `This page cannot use your second factor: ${factors.join(", ")}.`;
}
