// Tests by name without a browser; and with the true server behind the one of `front.mjs`.
const tests = [];

export function test(name, run) {
  tests.push({ name, run });
}

/** Run all tests, and print what failed in each. */
export async function runAll() {
  const outcomes = {};
  for (const { name, run } of tests) outcomes[name] = await run().then(() => null, (error) => error.stack);
  console.log(JSON.stringify(outcomes));
}
