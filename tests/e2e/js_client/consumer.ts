// A project that uses the package: what it may write, and what the compiler refuses.
import { AuthError, createClient, type Client } from "authapp-client";
import type { paths } from "authapp-client/schema";
import createApi from "openapi-fetch";

const auth: Client = createClient({ baseUrl: "https://auth.example.com", storage: localStorage });
const api = createApi<paths>({ baseUrl: "https://auth.example.com", fetch: auth.fetch });

export async function main(): Promise<string | undefined> {
  const { data } = await api.GET("/api/v1/users/me");
  // @ts-expect-error -- no user has this
  data?.pasword;
  // @ts-expect-error -- there is no such address
  await api.GET("/api/v1/user/me");
  // @ts-expect-error -- a login has a password
  await auth.login({ username: "ada" });
  try {
    await auth.login({ username: "ada", password: "correct horse battery staple" });
  } catch (error) {
    // @ts-expect-error -- no problem has this code
    return error instanceof AuthError && error.code === "usernam_taken" ? "" : undefined;
  }
  return data?.username;
}
