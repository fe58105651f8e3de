/** The refresh token of one service in a storage, which tabs may share. */
export class RefreshToken {
    storage;
    key;
    constructor(storage, key) {
        this.storage = storage;
        this.key = key;
    }
    async read() {
        return (await this.storage.getItem(this.key)) ?? undefined;
    }
    async write(token) {
        if (token === undefined)
            await this.storage.removeItem(this.key);
        else
            await this.storage.setItem(this.key, token);
    }
    /**
     * Write what has come of the token `sent`, unless another tab has written since. A late answer would otherwise put back
     * a token that was exchanged, whose next use ends the session; or a session that was left.
     */
    async replace(sent, token) {
        if ((await this.read()) === sent)
            await this.write(token);
    }
}
/** A storage that dies with the page. */
export function inMemory() {
    const items = new Map();
    return {
        getItem: (key) => items.get(key) ?? null,
        setItem: (key, value) => void items.set(key, value),
        removeItem: (key) => void items.delete(key),
    };
}
