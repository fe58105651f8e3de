// orval with zod, which checks what is sent and answered: register, log in, refresh, log out.
import { getOwnAccount, logIn, logOut, refreshTokens, registerUser, type Problem } from "./generated/orval/client";
import { createRoleBody, listUsersQueryParams, logInResponse, refreshTokensBody, registerUserBody } from "./generated/orval/zod";
import { email, expect, password, run, username } from "./run";

// As an interceptor of many an application does it: with everything, the refresh included.
const withToken = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });

run(async () => {
  const account = registerUserBody.parse({ username, email, password });
  expect((await registerUser(account, withToken(""))).status, 201);
  const again = await registerUser({ ...account, email: `other-${email}` }, withToken(""));
  if (again.status !== 409) {
    throw new Error(`a second account: ${again.status}`);
  }
  expect(again.data.code, "username_taken");
  // @ts-expect-error -- no operation has this code
  expect(again.data.code === "usernam_taken", false);
  // @ts-expect-error -- another operation has this code
  expect(again.data.code === "wrong_password", false);
  // @ts-expect-error -- no problem has this code
  const typo: Problem["code"] = "usernam_taken";
  expect(typo.length, 13);

  const first = logInResponse.parse((await logIn({ username, password }, withToken(""))).data);
  const body = refreshTokensBody.parse({ refresh_token: first.refresh_token });
  const refreshed = logInResponse.parse((await refreshTokens(body, withToken(first.access_token))).data);
  const token = withToken(refreshed.access_token);
  expect((await getOwnAccount(token)).status, 200);
  expect((await logOut(undefined, token)).status, 204);
  const refused = await getOwnAccount(token);
  expect(refused.status === 401 && refused.data.code, "token_revoked");

  expect(listUsersQueryParams.safeParse({ role: "admin" }).success, true);
  expect(listUsersQueryParams.safeParse({ role: "admin\n" }).success, false);
  expect(createRoleBody.safeParse({ name: "support", description: "Für 日本\u3000語 👋" }).success, true);
  expect(createRoleBody.safeParse({ name: "support", description: "two\u2028lines" }).success, false);
});
