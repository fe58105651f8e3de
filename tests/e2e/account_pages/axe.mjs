// What axe-core has against a page.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Give axe-core to each page that opens in this tab from now on. */
export const withAxe = (page) => page.addInitScript(AXE);

/** Return what violates WCAG 2.2 AA or a good practice, or of that only what has one of these `impacts`. */
export async function violations(page, impacts) {
  const { violations: all } = await page.evaluate((tags) => window.axe.run({ runOnly: tags }), TAGS);
  return all
    .filter(({ impact }) => impacts === undefined || impacts.includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}
