// hey-api with zod, which checks every answer: register, log in, refresh, log out.
import { client } from "./generated/hey_api/client.gen";
import { getOwnAccount, logIn, logOut, refreshTokens, registerUser } from "./generated/hey_api/sdk.gen";
import type { Problem } from "./generated/hey_api/types.gen";
import { zListUsersData, zProblem, zRoleCreation } from "./generated/hey_api/zod.gen";
import { baseUrl, email, expect, given, password, run, username } from "./run";

let accessToken = "";
client.setConfig({ baseUrl, auth: () => accessToken });
client.interceptors.request.use((request) => {
  // As an interceptor of many an application does it: with everything, the refresh included.
  request.headers.set("Authorization", `Bearer ${accessToken}`);
  return request;
});

run(async () => {
  const account = { username, email, password };
  expect((await registerUser({ body: account })).data?.username, username);
  const again = await registerUser({ body: { ...account, email: `other-${email}` } });
  expect(again.error?.code, "username_taken");
  expect(zProblem.safeParse(again.error).success, true);
  // @ts-expect-error -- no operation has this code
  expect(again.error?.code === "usernam_taken", false);
  // @ts-expect-error -- another operation has this code
  expect(again.error?.code === "wrong_password", false);
  // @ts-expect-error -- no problem has this code
  const typo: Problem["code"] = "usernam_taken";
  expect(typo.length, 13);

  const first = given((await logIn({ body: { username, password } })).data);
  accessToken = first.access_token;
  const refreshed = await refreshTokens({ body: { refresh_token: first.refresh_token } });
  accessToken = given(refreshed.data).access_token;
  expect((await getOwnAccount()).data?.username, username);
  expect((await logOut()).response.status, 204);
  expect((await getOwnAccount()).error?.code, "token_revoked");

  expect(zListUsersData.safeParse({ query: { role: "admin" } }).success, true);
  expect(zListUsersData.safeParse({ query: { role: "admin\n" } }).success, false);
  expect(zRoleCreation.safeParse({ name: "support", description: "Für 日本\u3000語 👋" }).success, true);
  expect(zRoleCreation.safeParse({ name: "support", description: "two\u2028lines" }).success, false);
});
