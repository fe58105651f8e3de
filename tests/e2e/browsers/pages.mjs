// Pages of several origins, and what their scripts do. Nothing is intercepted: an intercepted request has no preflight.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { settings, test as testOf } from "./browser.mjs";

export const COOKIE = "__Host-authapp-refresh";
export const PASSWORD = "correct horse battery staple";
export const ASK = { "X-Authapp-Cookie": "1" };
export const API = settings.api;
export const APP = `https://app.example.com:${settings.port}`;
/** Of another site; of the same site; that look like the listed one; all of them hostile. */
export const EVIL = `https://evil.test:${settings.port}`;
export const SIBLING = `https://blog.example.com:${settings.port}`;
export const LOOKALIKES = [`https://app.example.com.evil.test:${settings.port}`, `https://evilapp.example.com:${settings.port}`];

const tls = { cert: readFileSync(settings.cert), key: readFileSync(settings.key) };
createServer(tls, (_request, response) => {
  response.writeHead(200, { "Content-Type": "text/html" });
  response.end("<!doctype html><title>A page</title><link rel=icon href=data:,><body>");
}).listen(settings.port, "127.0.0.1").unref();

/** A test with the true API. */
export function test(name, run) {
  testOf(name, async (tools) => {
    await tools.api.real();
    await run(tools);
  });
}

let users = 0;

/** Register a user from no page, and return its name. */
export async function newcomer(page) {
  const username = `browser${users++}`;
  const data = { username, email: `${username}@example.com`, password: PASSWORD };
  const response = await page.request.post(`https://127.0.0.1:${new URL(API).port}/api/v1/auth/register`, {
    data, ignoreHTTPSErrors: true,
  });
  assert.equal(response.status(), 201);
  return username;
}

/** Let the script of `page` send a request. Return what it can read; `blocked` if that is nothing. */
export function send(page, method, path, { json, ...init } = {}) {
  return page.evaluate(async ([url, options, body]) => {
    if (body !== undefined) {
      options.body = JSON.stringify(body);
      options.headers = { "Content-Type": "application/json", ...options.headers };
    }
    let response;
    try {
      response = await fetch(url, options);
    } catch (error) {
      return { blocked: error.name };
    }
    const text = await response.text();
    const isJson = response.headers.get("Content-Type")?.includes("json");
    return {
      status: response.status, type: response.type, headers: Object.fromEntries(response.headers),
      body: isJson ? JSON.parse(text) : text,
    };
  }, [`${API}/api/v1/${path}`, { method, credentials: "include", ...init }, json]);
}

export const bearer = (token) => ({ Authorization: `Bearer ${token}` });

export async function logIn(page, username, { headers = ASK, password = PASSWORD } = {}) {
  return send(page, "POST", "auth/login", { json: { username, password }, headers });
}

export async function cookieOf(context) {
  return (await context.cookies(API)).find(({ name }) => name === COOKIE);
}

/** Open the app, log a user in with the cookie, and return what there is of it. */
export async function loggedIn(page, context) {
  await page.goto(APP);
  const username = await newcomer(page);
  const { status, body } = await logIn(page, username);
  assert.equal(status, 200, JSON.stringify(body));
  return { username, token: body.access_token, cookie: (await cookieOf(context)).value };
}

/** Assert that the session of `user` is as it was: its cookie is the same, is in use, and its token is good. */
export async function isUntouched(context, user) {
  assert.equal((await cookieOf(context))?.value, user.cookie, "the cookie has changed");
  const page = await context.newPage();
  await page.goto(APP);
  assert.equal((await send(page, "GET", "ping", { headers: bearer(user.token) })).status, 200);
  await page.close();
}
