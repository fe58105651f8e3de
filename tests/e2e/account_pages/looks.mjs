// WCAG 2.2 AA by axe-core, in light and dark; no sideways scroll on a phone; a picture of each step to look at.
import assert from "node:assert/strict";
import { settings, test } from "./browser.mjs";
import { inspect, prepare } from "./inspect.mjs";

/** Show one step of the page, with a message in each of its forms. */
function showStep(id) {
  for (const step of document.querySelectorAll("main > section")) step.hidden = step.id !== id;
  for (const problem of document.querySelectorAll(`#${id} .problem`)) {
    problem.textContent = "There were too many attempts. Please try again in 3 minutes.";
  }
}

/** WCAG 2.4.7: what has the focus of the keyboard shows it. */
async function assertFocusIsSeen(page, name) {
  await page.keyboard.press("Tab");
  const outline = await page.evaluate(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    return [document.activeElement !== document.body, outlineStyle, outlineWidth];
  });
  assert.deepEqual(outline, [true, "solid", "3px"], name);
}

test("every step of every page meets WCAG AA, and fits a phone", async ({ page, open }) => {
  await prepare(page);
  for (const name of settings.pages) {
    // The development server asks for the password, and shows what is for developers.
    await open(name, { server: settings.development });
    const steps = await page.locator("main > section").evaluateAll((sections) => sections.map(({ id }) => id));
    assert.ok(steps.length >= 4);
    for (const id of steps) {
      await page.evaluate(showStep, id);
      await inspect(page, `${name}-${id}`);
    }
    await page.evaluate(showStep, steps[0]);
    await assertFocusIsSeen(page, name);
  }
});

test("the mails of the development server meet WCAG AA, and fit a phone", async ({ page }) => {
  await prepare(page);
  await page.goto(`${settings.development}/dev/mail`);
  await inspect(page, "mails");
});
