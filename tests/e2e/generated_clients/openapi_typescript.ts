// openapi-typescript with openapi-fetch: register, log in, refresh, log out.
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/openapi_typescript/schema";
import { baseUrl, email, expect, given, password, run, username } from "./run";

let accessToken = "";
const client = createClient<paths>({ baseUrl });
client.use({
  onRequest({ request }) {
    // As an interceptor of many an application does it: with everything, the refresh included.
    request.headers.set("Authorization", `Bearer ${accessToken}`);
    return request;
  },
});

run(async () => {
  const account = { username, email, password };
  expect((await client.POST("/api/v1/auth/register", { body: account })).data?.username, username);
  const again = await client.POST("/api/v1/auth/register", { body: { ...account, email: `other-${email}` } });
  expect(again.error?.code, "username_taken");
  // @ts-expect-error -- no operation has this code
  expect(again.error?.code === "usernam_taken", false);
  // @ts-expect-error -- another operation has this code
  expect(again.error?.code === "wrong_password", false);
  // @ts-expect-error -- no problem has this code
  const typo: components["schemas"]["Problem"]["code"] = "usernam_taken";
  expect(typo.length, 13);

  const first = given((await client.POST("/api/v1/auth/login", { body: { username, password } })).data);
  accessToken = first.access_token;
  const refreshed = await client.POST("/api/v1/auth/refresh", { body: { refresh_token: first.refresh_token } });
  accessToken = given(refreshed.data).access_token;
  expect((await client.GET("/api/v1/users/me")).data?.username, username);
  expect((await client.POST("/api/v1/auth/logout")).response.status, 204);
  expect((await client.GET("/api/v1/users/me")).error?.code, "token_revoked");
});
