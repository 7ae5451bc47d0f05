// A copy of some rows of the store for which one can wait until it shows a revision.

import type { Entry, Revision } from "../store/store.ts";

/** What a mirror offers to whoever writes and wants to see it. */
export type RowSource = {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly revision: () => Revision;
};

export class RowWatch {
  readonly #source: () => RowSource;
  readonly #waiting = new Set<() => void>();

  constructor(source: () => RowSource) {
    this.#source = source;
  }

  entries(): ReadonlyMap<string, Entry> {
    return this.#source().entries;
  }

  /** To be called when the copy has changed. */
  changed(): void {
    for (const each of [...this.#waiting]) each();
  }

  /** Waits until the copy shows a revision that changed it; false: it took longer than allowed. */
  reach(revision: Revision, timeoutMs: number): Promise<boolean> {
    const isThere = () => this.#source().revision() >= revision;
    if (isThere()) return Promise.resolve(true);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const finish = (reached: boolean) => {
      clearTimeout(timer);
      this.#waiting.delete(look);
      resolve(reached);
    };
    const look = () => {
      if (isThere()) finish(true);
    };
    const timer = setTimeout(() => finish(false), timeoutMs);
    this.#waiting.add(look);
    return promise;
  }
}
