// A browser, and tests by name: `test("a sentence", async ({ page, open, api }) => ...)`. A test fails
// when the console has an error, such as a violation of the Content-Security-Policy.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const tests = [];
export const settings = JSON.parse(process.argv[2]);
export const TOKEN = "AZoKVvPycT66Lxmst6MEigdG9rZW4tb2YtMjU2LXJhbmRvbS1iaXRz";
export const PHONE = { width: 375, height: 700 };

export function test(name, run) {
  tests.push({ name, run });
}

/** Run all tests, each in a browser context of its own. Return what failed, by name; `null` is a success. */
export async function runAll() {
  const browser = await chromium.launch({
    executablePath: settings.chromium,
    args: ["--no-sandbox", "--disable-dev-shm-usage", ...(settings.args ?? [])],
  });
  const results = {};
  try {
    for (const { name, run } of tests) results[name] = await outcome(browser, run);
  } finally {
    await browser.close();
  }
  return results;
}

async function outcome(browser, run) {
  const context = await browser.newContext({ viewport: PHONE, reducedMotion: "reduce" });
  context.setDefaultTimeout(15_000);
  const complaints = [];
  context.on("console", (message) => {
    // The browser itself logs answers of 400 and above.
    const isOfBrowser = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isOfBrowser) complaints.push(message.text());
  });
  context.on("weberror", (error) => complaints.push(String(error.error())));
  try {
    const page = await context.newPage();
    await run({ browser, context, page, open: opener(page), api: await fakeApi(context), complaints });
    assert.deepEqual(complaints, [], "the console has errors");
    return null;
  } catch (error) {
    return `${error.stack}\n${complaints.join("\n")}`;
  } finally {
    await context.close();
  }
}

/** Return a function that opens a page as the link in a mail does. */
function opener(page) {
  return (name, { token, server = settings.url } = {}) =>
    page.goto(`${server}/account/${name}${token ? `#token=${token}` : ""}`);
}

/** Answer requests to the API in its place. `calls` are those that were sent; `answer` sets the next answers. */
async function fakeApi(context) {
  const calls = [];
  let answers = [{ status: 204 }];
  await context.route("**/api/v1/**", async (route) => {
    const request = route.request();
    calls.push({
      method: request.method(),
      path: new URL(request.url()).pathname.split("/api/v1/")[1],
      body: request.postDataJSON(),
      headers: request.headers(),
    });
    const { abort, status, body, headers, gate } = answers.length > 1 ? answers.shift() : answers[0];
    if (gate) await gate;
    if (abort) return route.abort();
    return route.fulfill({ status, headers, contentType: "application/json", body: body && JSON.stringify(body) });
  });
  return {
    calls,
    sent: () => calls.map(({ method, path, body }) => [method, path, body]),
    answer: (...next) => { answers = next; },
    real: () => context.unroute("**/api/v1/**"),
  };
}

export function refusal(status, code, more = {}) {
  const { headers, ...members } = more;
  return { status, headers, body: { type: `/problems/${code}`, title: code, status, code, detail: code, ...members } };
}

export async function heading(page, text) {
  await page.getByRole("heading", { level: 1, name: text, exact: true }).waitFor();
}

export async function press(page, name) {
  await page.getByRole("button", { name, exact: true }).click();
}

/** Return the visible field with this label. */
export function field(page, label) {
  return page.locator("section:not([hidden])").getByLabel(label, { exact: true });
}

/** Wait until the visible alert says `text`. */
export async function alerted(page, text) {
  await page.locator("section:not([hidden]) .problem", { hasText: text }).waitFor();
}
