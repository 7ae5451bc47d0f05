// The only writer under a prefix: random commits of puts and deletes, and an account of all that was acknowledged.

import type { Operation, Store } from "@meridian/control-server/store";
import type { Random } from "@meridian/proto/base";
import { type Mark, mark } from "./comparison.ts";

export type Writer = {
  /** What etcd said had happened. */
  readonly written: readonly Mark[];
  /** The newest revision written. */
  readonly revision: () => number;
  /** One commit of one to three keys. Rejects when its outcome is unknown; then the uncut watcher alone knows. */
  readonly write: () => Promise<void>;
};

export type WriterOptions = {
  readonly store: Store;
  readonly prefix: string;
  readonly random: Random;
  /** Keys in use; small, so that keys are overwritten, deleted and made again. */
  readonly keys: number;
  readonly valueBytesMax: number;
};

const deleteShare = 0.25;

export function openWriter(options: WriterOptions): Writer {
  const { store, prefix, random } = options;
  const written: Mark[] = [];
  const existing = new Set<string>();
  let newest = 0;

  function choose(): readonly Operation[] {
    const count = 1 + random.integer(3);
    const names = new Set<string>();
    while (names.size < count) names.add(`${prefix}${random.integer(options.keys)}`);
    return [...names].map((key): Operation => {
      if (existing.has(key) && random.next() < deleteShare) return { kind: "delete", key };
      const value = new Uint8Array(random.integer(options.valueBytesMax)).fill(random.integer(256));
      return { kind: "put", key, value };
    });
  }

  return {
    written,
    revision: () => newest,
    write: async () => {
      const operations = choose();
      const outcome = await store.commit({ compare: [], operations });
      if (outcome.kind === "err") {
        // Whether they exist is unknown now, and deleting what is not there is no event.
        for (const { key } of operations) existing.delete(key);
        throw new Error(`a write failed: ${outcome.error.message}`);
      }
      newest = outcome.value;
      for (const { kind, key } of operations) {
        written.push(mark(newest, kind, key));
        if (kind === "put") existing.add(key);
        else existing.delete(key);
      }
    },
  };
}
