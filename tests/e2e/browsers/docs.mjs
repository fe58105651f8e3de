// The interactive docs, in a real browser.
import assert from "node:assert/strict";
import { violations, withAxe } from "./axe.mjs";
import { settings } from "./browser.mjs";
import { API, bearer, loggedIn, send, test } from "./pages.mjs";

async function open(page, hash = "") {
  await page.goto(`${API}/docs${hash}`);
  await page.locator(".opblock").first().waitFor();
}

async function picture(page, name) {
  if (!settings.screenshots) return;
  await page.locator("#operations-users-listUsers").screenshot({ path: `${settings.screenshots}/docs-${name}.png` });
}

async function authorize(page, token) {
  await page.locator("button.authorize").first().click();
  const form = page.locator(".auth-container", { hasText: "accessToken" });
  await form.locator("input").fill(token);
  await form.getByRole("button", { name: "Apply credentials" }).click();
  await page.locator(".close-modal").click();
}

const isAuthorized = (page) => page.locator("button.authorize.locked").first().isVisible();

test("a token is kept over a reload, in this tab, unless it is switched off", async ({ page, context }) => {
  const { token } = await loggedIn(page, context);
  await open(page);
  await authorize(page, token);
  await page.reload();
  await page.locator("button.authorize.locked").first().waitFor();
  await page.locator("#operations-ping-getPong .opblock-summary-control").click();
  await page.locator("#operations-ping-getPong .execute").click();
  await page.locator("#operations-ping-getPong .live-responses-table", { hasText: "pong" }).waitFor();
  const tab = await context.newPage();
  await open(tab);
  assert.equal(await isAuthorized(tab), false);
  await page.getByLabel("Keep my token").uncheck();
  assert.deepEqual(await page.evaluate(() => Object.values({ ...sessionStorage, ...localStorage })), ["1"]);
  await open(page);
  assert.equal(await isAuthorized(page), false);
  assert.equal(await page.getByLabel("Keep my token").isChecked(), false);
  assert.equal((await send(page, "GET", "ping", { headers: bearer(token) })).status, 200);
});

test("where the browser forbids to keep anything, the page is there all the same", async ({ page }) => {
  await page.addInitScript(() => {
    const get = () => { throw new DOMException("Forbidden", "SecurityError"); };
    for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, { get });
  });
  await open(page);
  await page.getByLabel("Keep my token").uncheck();
});

test("each operation shows what it needs", async ({ page }) => {
  await open(page);
  const needs = (id) => page.locator(`[id$="-${id}"] .needs span`).allTextContents();
  assert.deepEqual(await needs("logIn"), ["guest"]);
  assert.deepEqual(await needs("listUsers"), ["access token", "users:read"]);
  assert.deepEqual(await needs("deleteOwnAccount"), ["access token", "fresh token", "step-up in some cases"]);
});

test("nothing scrolls sideways on a phone, in light and dark", async ({ page }) => {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await open(page);
    for (const id of ["users-listUsers", "users-createUser", "auth-logIn", "passkeys-createPasskey"]) {
      await page.locator(`#operations-${id} .opblock-summary-control`).click();
      await page.locator(`#operations-${id} .responses-wrapper`).waitFor();
    }
    const [content, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= width, `${colorScheme}: ${content} > ${width}`);
    const bodies = await page.locator(".opblock-body").evaluateAll((all) => all.map(({ scrollWidth, clientWidth }) => [scrollWidth, clientWidth]));
    assert.equal(bodies.length, 4);
    for (const [inner, outer] of bodies) assert.ok(inner <= outer, `within an operation: ${inner} > ${outer}`);
    await picture(page, `${colorScheme}-375`);
    const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(background === "rgb(28, 32, 34)", colorScheme === "dark", background);
  }
});

test("axe-core finds nothing serious, in light and dark", async ({ page }) => {
  await withAxe(page);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 1280, height: 800 });
    await open(page);
    for (const id of ["users-listUsers", "auth-logIn"]) {
      await page.locator(`#operations-${id} .opblock-summary-control`).click();
      await page.locator(`#operations-${id} .responses-wrapper`).waitFor();
    }
    await picture(page, `${colorScheme}-1280`);
    assert.deepEqual(await violations(page, ["serious", "critical"]), [], colorScheme);
    await page.locator("button.authorize").first().click();
    await page.locator(".auth-container").first().waitFor();
    assert.deepEqual(await violations(page, ["serious", "critical"]), [], `${colorScheme}, authorize`);
  }
});
