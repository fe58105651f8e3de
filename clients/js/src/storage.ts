/** Where a refresh token is kept: `localStorage`, `sessionStorage`, or something like them, which may be asynchronous. */
export interface TokenStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): void | Promise<void>;
  removeItem(key: string): void | Promise<void>;
}

/** The refresh token of one service in a storage, which tabs may share. */
export class RefreshToken {
  constructor(
    private readonly storage: TokenStorage,
    private readonly key: string,
  ) {}

  async read(): Promise<string | undefined> {
    return (await this.storage.getItem(this.key)) ?? undefined;
  }

  async write(token: string | undefined): Promise<void> {
    if (token === undefined) await this.storage.removeItem(this.key);
    else await this.storage.setItem(this.key, token);
  }

  /**
   * Write what has come of the token `sent`, unless another tab has written since. A late answer would otherwise put back
   * a token that was exchanged, whose next use ends the session; or a session that was left.
   */
  async replace(sent: string | undefined, token: string | undefined): Promise<void> {
    if ((await this.read()) === sent) await this.write(token);
  }
}

/** A storage that dies with the page. */
export function inMemory(): TokenStorage {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}
