// A certified OpenID provider (oidc-provider), at which everybody may log in under any name, with any password.
import Provider from "oidc-provider";

const { port, clientId, clientSecret, redirectUris, ids = "userinfo" } = JSON.parse(process.argv[2]);
const provider = new Provider(`http://localhost:${port}`, {
  clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: redirectUris }],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["preferred_username"] },
  // As the specification has it, addresses are told at the UserInfo endpoint alone.
  conformIdTokenClaims: ids === "userinfo",
  features: { devInteractions: { enabled: true } },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, preferred_username: id }),
  }),
  pkce: { required: () => true },
});
provider.listen(port, "localhost", () => console.log("listening"));
