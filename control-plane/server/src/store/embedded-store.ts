// The store of one process on its own disk (node:sqlite, ADR 0003): the default of `npm start`.
// It keeps etcd's model, so that what is built on it moves to etcd unchanged.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { err, type Instant, ok, type Problem, problem, type Result } from "@meridian/proto/base";
import { checkCommit, checkKey, checkPrefix, checkRevision, checkTtl } from "./check-request.ts";
import { type EmbeddedDatabase, openEmbeddedDatabase } from "./embedded-database.ts";
import { EmbeddedLeases } from "./embedded-leases.ts";
import { EmbeddedWatch } from "./embedded-watch.ts";
import type {
  Commit,
  Compare,
  Entry,
  Lease,
  Listing,
  Outcome,
  Revision,
  Store,
  StoreError,
  WatchOptions,
} from "./store.ts";

export type EmbeddedOptions = {
  /** Folder of its files; made when missing. One process at a time. */
  readonly folder: string;
  /** Revisions whose events are kept for watches that resume. Default 10,000. */
  readonly historyRevisions?: number;
  /** Monotonic milliseconds; a test's clock. */
  readonly now?: () => Instant;
};

/** Opens the store in a folder, or says why it can't be: above all, that another process has it. */
export function openEmbeddedStore(options: EmbeddedOptions): Result<Store, Problem> {
  const { folder } = options;
  const owner = join(folder, "owner");
  try {
    mkdirSync(folder, { recursive: true });
    const database = openEmbeddedDatabase(join(folder, "store.db"));
    writeFileSync(owner, `${process.pid}\n`);
    return ok(new EmbeddedStore(database, options));
  } catch (error) {
    return err(openingProblem(folder, owner, error));
  }
}

function openingProblem(folder: string, owner: string, error: unknown): Problem {
  const message = error instanceof Error ? error.message : String(error);
  if (!message.includes("database is locked")) {
    return problem(
      "store_unreadable",
      "store",
      `${folder}: ${message}`,
      "is it a folder to write to?",
    );
  }
  const hint = `stop ${readOwner(owner)}, or name another folder`;
  return problem("store_in_use", "store", `${folder} is in use by another process`, hint);
}

function readOwner(path: string): string {
  try {
    return `process ${readFileSync(path, "utf8").trim()}`;
  } catch {
    return "that process";
  }
}

class EmbeddedStore implements Store {
  readonly #database: EmbeddedDatabase;
  readonly #historyRevisions: number;
  readonly #leases: EmbeddedLeases;
  readonly #watches = new Set<EmbeddedWatch>();
  #closed = false;

  constructor(database: EmbeddedDatabase, options: EmbeddedOptions) {
    this.#database = database;
    this.#historyRevisions = options.historyRevisions ?? 10_000;
    this.#leases = new EmbeddedLeases({
      now: options.now ?? (() => performance.now()),
      expire: (lease) => this.#deleteKeys(database.keysOfLease(lease)),
    });
    // Only this process could hold leases here, and it has just started: those that stand are of a dead one.
    this.#deleteKeys(database.keysOfLeases());
  }

  readonly get = async (key: string): Outcome<Entry | undefined> => {
    return this.#attempt(checkKey(key), () => ok(this.#database.get(key)));
  };

  readonly list = async (prefix: string): Outcome<Listing> => {
    return this.#attempt(checkPrefix(prefix), () => ok(this.#database.list(prefix)));
  };

  readonly commit = async (commit: Commit): Outcome<Revision> => {
    const checked = checkCommit(commit);
    return this.#attempt(checked.kind === "err" ? checked.error : undefined, () => {
      const refusal = this.#refuse(commit);
      if (refusal !== undefined) return err(refusal);
      const revision = this.#database.write(commit.operations);
      this.#afterWrite();
      return ok(revision);
    });
  };

  readonly watch = (options: WatchOptions): void => {
    if (this.#closed || options.signal.aborted) return;
    const watch = new EmbeddedWatch(this.#database, options, () => this.#watches.delete(watch));
    this.#watches.add(watch);
    watch.wake();
  };

  readonly grantLease = async (ttlMs: number): Outcome<Lease> => {
    return this.#attempt(checkTtl(ttlMs), () => ok(this.#leases.grant(ttlMs)));
  };

  readonly compact = async (before: Revision): Outcome<void> => {
    return this.#attempt(checkRevision(before) ?? this.#refuseFuture(before), () => {
      this.#database.compact(before);
      return ok(undefined);
    });
  };

  readonly close = async (): Promise<void> => {
    if (this.#closed) return;
    this.#leases.close();
    this.#closed = true;
    for (const watch of this.#watches) watch.end();
    this.#database.close();
  };

  /** Does the work unless the request is bad or the store closed. A broken disk is `unavailable`. */
  #attempt<T>(
    refusal: StoreError | undefined,
    work: () => Result<T, StoreError>,
  ): Result<T, StoreError> {
    if (refusal !== undefined) return err(refusal);
    if (this.#closed) return err({ kind: "unavailable", message: "the store is closed" });
    try {
      return work();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return err({ kind: "unavailable", message: `the embedded store failed: ${message}` });
    }
  }

  #refuse(commit: Commit): StoreError | undefined {
    const broken = commit.compare.find((each) => !this.#holds(each));
    if (broken !== undefined) {
      const message = `${broken.key} is not at revision ${broken.modRevision}`;
      return { kind: "conflict", message };
    }
    for (const operation of commit.operations) {
      if (operation.kind === "delete" || operation.lease === undefined) continue;
      if (!this.#leases.has(operation.lease)) {
        return { kind: "conflict", message: `the lease of ${operation.key} is gone` };
      }
    }
    return undefined;
  }

  #holds(compare: Compare): boolean {
    return (this.#database.get(compare.key)?.modRevision ?? 0) === compare.modRevision;
  }

  #refuseFuture(before: Revision): StoreError | undefined {
    const newest = this.#closed ? before : this.#database.revision();
    const message = `revision ${before} is in the future; the newest is ${newest}`;
    return before > newest + 1 ? { kind: "invalid", message } : undefined;
  }

  #deleteKeys(keys: readonly string[]): void {
    if (this.#closed || keys.length === 0) return;
    this.#database.write(keys.map((key) => ({ kind: "delete", key })));
    this.#afterWrite();
  }

  #afterWrite(): void {
    const kept = this.#database.revision() - this.#database.oldest();
    // In steps of a tenth, so that not every commit pays for a deletion.
    if (kept > this.#historyRevisions * 1.1) {
      this.#database.compact(this.#database.revision() - this.#historyRevisions);
    }
    for (const watch of this.#watches) watch.wake();
  }
}
