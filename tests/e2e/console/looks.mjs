// WCAG 2.2 AA by axe-core, in light and dark; no sideways scroll on a phone; a picture of each view to look at.
import assert from "node:assert/strict";
import { violations, withAxe } from "./axe.mjs";
import { PHONE, settings } from "./browser.mjs";
import { DESKTOP, anAccount, heading, logIn, press, send, test, tokenOf, visit } from "./console.mjs";

// The colours depend on the scheme alone, and what is shown on the width.
const LOOKS = [["light", DESKTOP], ["dark", PHONE]];
const PICTURES = [...LOOKS, ["dark", DESKTOP], ["light", PHONE]];
const NARROW = { width: 320, height: 640 };

async function inspect(page, name) {
  for (const [colorScheme, viewport] of settings.screenshots ? PICTURES : []) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    await page.screenshot({ path: `${settings.screenshots}/${name}-${colorScheme}-${viewport.width}.png`, fullPage: true });
  }
  for (const [colorScheme, viewport] of LOOKS) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    assert.deepEqual(await violations(page), [], `${name}, ${colorScheme}`);
  }
  for (const viewport of [PHONE, NARROW]) {
    await page.setViewportSize(viewport);
    const [content, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= width, `${name} scrolls sideways: ${content} > ${width}`);
  }
  await page.setViewportSize(DESKTOP);
}

test("every view meets WCAG AA, and fits a phone", async ({ page }) => {
  await withAxe(page);
  const user = await anAccount({ roles: ["admin"], name: "a-name-as-long-as-names-can-be" });
  for (let each = 0; each < 4; each += 1) await tokenOf(user.username, { agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0" });
  await send("POST", "auth/login", { body: { username: user.username, password: "wrong" } });
  await page.goto(`${settings.url}/console`);
  await heading(page, "Log in");
  await inspect(page, "login");
  await logIn(page);
  await heading(page, "Users");
  await inspect(page, "users");
  await visit(page, `#user?id=${user.id}`, user.username);
  await inspect(page, "user");
  await press(page, "Disable");
  await inspect(page, "confirm");
  await press(page, "Cancel");
  await visit(page, "#roles", "Roles");
  await inspect(page, "roles");
  await press(page, "New role");
  await inspect(page, "role");
  await press(page, "Cancel");
  await visit(page, "#events", "Audit events");
  await page.getByText("The numbers as a table").click();
  await inspect(page, "events");
  for (const [hash, title] of [["service", "Service"], ["sessions", "Your sessions"]]) {
    await visit(page, `#${hash}`, title);
    await inspect(page, hash);
  }
});
