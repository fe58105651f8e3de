// What went wrong, in words for people.
import { AuthError } from "./client/index.js";

/** The user does not want to, or is logged out: there is nothing more to say. */
export class Cancelled extends Error {}

/** Return what to say of an error. A refusal of the API is an `AuthError`; any other error is one of the network. */
export function messageOf(error) {
  if (!(error instanceof AuthError)) {
    console.warn(error);
    return "The service did not answer. Try again in a moment.";
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
