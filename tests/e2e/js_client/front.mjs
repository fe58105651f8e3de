// What stands between the pages and the server: it serves the pages, counts what is sent, and loses answers when told to.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request as forward } from "node:http";
import { createServer } from "node:https";
import { join, normalize } from "node:path";
import { settings } from "./browser.mjs";
import { codeOf } from "./totp.mjs";

// Node.js itself is a client, too; the certificate is of this test.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";

export const PASSWORD = "correct horse battery staple";
export const APP = `https://app.example.com:${settings.port}`;
export const AUTH = `https://auth.example.com:${settings.port}`;
export const ELSEWHERE = `https://evil.test:${settings.port}`;
/** The same as AUTH, for Node.js, which resolves no names of tests. */
export const LOCAL = `https://127.0.0.1:${settings.port}`;

const TYPES = { css: "text/css", html: "text/html", js: "text/javascript" };
const CORS = {
  "Access-Control-Allow-Origin": APP, "Access-Control-Allow-Credentials": "true",
  "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Authapp-Cookie",
};
const plans = new Map();
let calls = [];

/** What was sent since the last call of this, without preflights: `{ path, token, body }`. */
export function sent(path) {
  const found = calls.filter((call) => path === undefined || call.path === path);
  calls = [];
  return found;
}

/** Do something else with the requests to `path` of the API: `times` times, or always. */
export function plan(path, action, times = Infinity) {
  plans.set(`/api/v1/${path}`, { action, times });
}

/** Do nothing else any more with the requests to `path`. */
export const unplan = (path) => void plans.delete(`/api/v1/${path}`);

// Without a byte of an answer, Chromium asks once more by itself.
const breakOff = (response) => void response.socket.end("HTTP/1.1 200 OK\r\nX-");
/** Let the server do what is asked, and lose what it answers. */
export const lose = (request, response, body) => proxy(request, body, () => breakOff(response));
/** The same, in the middle of the body: the cookie arrives. */
export const loseHalf = (request, response, body) =>
  proxy(request, body, (upstream) => response.writeHead(upstream.statusCode, upstream.headers).write("{", () => response.destroy()));
/** Lose the request. */
export const drop = (_request, response) => breakOff(response);
/** Answer in the place of the server. */
export const answer = (status, body, headers = {}) => (_request, response) =>
  void response.writeHead(status, { ...CORS, "Content-Type": "application/problem+json", ...headers }).end(JSON.stringify(body));
export const refuse = (status, code) => answer(status, { status, code, title: code });
/** Hold the answer until `gate` resolves. */
export const hold = (gate) => (request, response, body) =>
  proxy(request, body, async (upstream) => (await gate, pass(upstream, response)));

const pass = (upstream, response) => upstream.pipe(response.writeHead(upstream.statusCode, upstream.headers));

function proxy(request, body, answered) {
  const { method, headers, url: path } = request;
  forward(`${settings.upstream}${path}`, { method, headers }, answered).end(body);
}

function take(path) {
  const planned = plans.get(path);
  if (planned && --planned.times <= 0) plans.delete(path);
  return planned?.action;
}

function serveFile(path, response) {
  const file = join(settings.site, normalize(path.endsWith("/") ? `${path}index.html` : path));
  const text = readFileSync(file, "utf8").replaceAll("http://localhost:8000", AUTH);
  response.writeHead(200, { "Content-Type": TYPES[file.split(".").at(-1)] }).end(text);
}

const tls = { cert: readFileSync(settings.cert), key: readFileSync(settings.key) };
createServer(tls, async (request, response) => {
  let body = "";
  for await (const piece of request) body += piece;
  const { host, authorization } = request.headers;
  const path = request.url.split("?")[0];
  const isPreflight = request.method === "OPTIONS";
  if (!host.startsWith("app.") && !isPreflight) calls.push({ host, path, token: authorization, body });
  if (host.startsWith("app.")) return path === "/" ? response.end("<!doctype html><link rel=icon href=data:,>") : serveFile(path, response);
  if (host.startsWith("evil.")) return answer(200, {}, { "Access-Control-Allow-Origin": request.headers.origin ?? "*" })(request, response);
  const action = isPreflight ? undefined : take(path);
  return action ? action(request, response, body) : proxy(request, body, (upstream) => pass(upstream, response));
}).listen(settings.port, "127.0.0.1").unref();

let users = 0;

async function call(method, path, json, token) {
  const response = await fetch(`${LOCAL}/api/v1/${path}`, {
    method, body: JSON.stringify(json),
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
  });
  assert.ok(response.ok, `${path}: ${response.status}`);
  return response.status === 204 ? undefined : response.json();
}

/** Register a user, and forget that this was sent. */
export async function newcomer() {
  const username = `client${process.pid}x${users++}`;
  await call("POST", "auth/register", { username, email: `${username}@example.com`, password: PASSWORD });
  calls = [];
  plans.clear();
  return { username, password: PASSWORD };
}

/** Register a user with an authenticator app. Return the credentials, and a function that returns the next code. */
export async function withApp() {
  const user = await newcomer();
  const { access_token: token } = await call("POST", "auth/login", user);
  const { secret } = await call("POST", "users/me/totp", {}, token);
  let step = Math.floor(Date.now() / 30_000) - 1;
  const code = () => codeOf(secret, step++);
  await call("PUT", "users/me/totp", { code: code() }, token);
  return { user, code };
}

/** End every session of `user`, elsewhere. */
export async function endSessions(user) {
  const { access_token: token } = await call("POST", "auth/login", user);
  await call("POST", "auth/logout?scope=global", undefined, token);
}
