// How a page looks, as far as a machine can tell: axe-core, in light and dark, on a phone and a desktop.
import assert from "node:assert/strict";
import { violations, withAxe } from "./axe.mjs";
import { PHONE, settings } from "./browser.mjs";

const DESKTOP = { width: 1280, height: 800 };
const NARROW = { width: 320, height: 640 };
const VIEWS = [["light", PHONE], ["dark", DESKTOP]];

/** Let what `page` opens from now on be inspected. */
export const prepare = withAxe;

/** Inspect what `page` shows, and take pictures of it under `name`. */
export async function inspect(page, name) {
  for (const [colorScheme, viewport] of VIEWS) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    await page.screenshot({ path: `${settings.screenshots}/${name}-${colorScheme}-${viewport.width}.png` });
    assert.deepEqual(await violations(page), [], `${name}, ${colorScheme}`);
    // WCAG 1.4.10: 320 pixels are 400 % of zoom on a desktop.
    await page.setViewportSize(NARROW);
    const [content, window_] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= window_, `${name} scrolls sideways: ${content} > ${window_}`);
    for (const box of await page.locator("button:visible:not(.link), a.button:visible, input:visible").all()) {
      assert.ok((await box.boundingBox()).height >= 44, `${name} has a small target`);
    }
  }
}
