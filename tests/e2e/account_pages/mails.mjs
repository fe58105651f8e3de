// The mails of the development server: read, clicked, and without power over the page.
import assert from "node:assert/strict";
import { heading, settings, test, TOKEN } from "./browser.mjs";

const MAILS = `${settings.development}/dev/mail`;

test("the newest mail is shown, and its link opens the page in a new tab", async ({ page, context }) => {
  await page.goto(MAILS);
  await page.getByRole("heading", { level: 2, name: "Reset your password" }).waitFor();
  for (const place of [page, page.frameLocator("iframe")]) {
    const opened = context.waitForEvent("page");
    await place.getByRole("link", { name: /account\/reset-password|Choose a new password/ }).click();
    const tab = await opened;
    await heading(tab, "Choose a new password");
    assert.ok(!tab.url().includes(TOKEN));
    assert.equal(await tab.evaluate(() => window.opener), null);
    await tab.close();
  }
});

test("a script in a mail does not run, and its styles do", async ({ page, complaints }) => {
  await page.goto(MAILS);
  await page.getByRole("link", { name: /A hostile mail/ }).click();
  const frame = page.frameLocator("iframe");
  await frame.getByText("Styled").waitFor();
  assert.equal(await frame.getByText("Styled").evaluate((node) => getComputedStyle(node).color), "rgb(1, 2, 3)");
  assert.equal(await page.title(), "A hostile mail <b>subject</b> · Mails of this server");
  assert.equal(await page.locator("h2 b").count(), 0);
  while (!(await frame.locator("img").evaluate((image) => image.complete))) await page.waitForTimeout(20);
  // Which events a blocked request has differs between versions of Chromium; its complaint names what it blocked.
  const [script, image] = [/^Blocked script/, /^(Refused to load|Loading) the image 'https:\/\/tracker.example\/pixel'/];
  for (const blocked of [script, image]) assert.ok(complaints.some((each) => blocked.test(each)), complaints.join("\n"));
  assert.deepEqual(complaints.splice(0).filter((each) => !script.test(each) && !image.test(each)), []);
});
