// What each script shares: its arguments, and a check that says what it expected.
declare const process: { argv: string[]; exit(code: number): never };

export const [baseUrl, username] = process.argv.slice(2);
export const email = `${username}@example.com`;
export const password = "correct horse battery staple";

export function expect<T>(actual: T, expected: T): void {
  if (actual !== expected) {
    throw new Error(`expected ${String(expected)}, not ${String(actual)}`);
  }
}

export function given<T>(value: T | undefined): T {
  if (value === undefined) {
    throw new Error("there was no answer");
  }
  return value;
}

export function run(script: () => Promise<void>): void {
  script().catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
}
