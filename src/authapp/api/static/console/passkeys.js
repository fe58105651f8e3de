// Passkeys, on a page and in a browser that can use those of this service.
import { contentOf, send } from "./requests.js";

export const hasPasskeys =
  document.body.dataset.passkeys.split(" ").includes(location.host) &&
  Boolean(globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON);

/** Let the browser answer a challenge. Returns `undefined` if the user does not want to, or has no passkey. */
export async function passkeyAnswer(options) {
  try {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    return (await navigator.credentials.get({ publicKey }))?.toJSON();
  } catch {
    return undefined; // Browsers do not say which.
  }
}

/** Get a challenge and let the browser answer it: what proves a passkey, or `undefined` as above. Throws an `AuthError`. */
export async function passkeyProof() {
  const options = await contentOf(await send("POST", "auth/passkey-challenges", { body: {} }));
  const credential = await passkeyAnswer(options);
  return credential && { challenge_id: options.challenge_id, credential };
}
