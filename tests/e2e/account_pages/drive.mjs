// Runs every test of the folder's suites against the servers named in the first argument, and prints the outcomes.
import { runAll, settings } from "./browser.mjs";

for (const suite of settings.suites) await import(`./${suite}.mjs`);
console.log(JSON.stringify(await runAll()));
