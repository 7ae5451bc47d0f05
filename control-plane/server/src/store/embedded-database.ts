// The embedded store's tables in SQLite: the entries as they stand, and the events of the last revisions.
// A commit is one transaction in WAL mode with synchronous=FULL: once it returned, kill -9 does not undo it.

import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Entry, LeaseId, Listing, Operation, Revision, StoreEvent } from "./store.ts";

/** Every read and write of the database, in the store's terms. Throws on a broken disk. */
export type EmbeddedDatabase = {
  readonly revision: () => Revision;
  /** First revision whose events are still there. */
  readonly oldest: () => Revision;
  readonly get: (key: string) => Entry | undefined;
  readonly list: (prefix: string) => Listing;
  /** The revision of the commit; the present one when nothing changed. */
  readonly write: (operations: readonly Operation[]) => Revision;
  /** Events of at most `revisionsMax` whole revisions from `from` on, and the last revision looked at. */
  readonly events: (range: EventRange) => EventBatch;
  readonly compact: (before: Revision) => void;
  readonly keysOfLease: (lease: LeaseId) => readonly string[];
  readonly keysOfLeases: () => readonly string[];
  readonly close: () => void;
};

export type EventRange = {
  readonly prefix: string;
  readonly from: Revision;
  readonly revisionsMax: number;
};
export type EventBatch = { readonly through: Revision; readonly events: readonly StoreEvent[] };

const schema = `
  CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS entry (
    key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL, lease TEXT
  );
  CREATE INDEX IF NOT EXISTS entry_lease ON entry (lease) WHERE lease IS NOT NULL;
  CREATE TABLE IF NOT EXISTS event (
    revision INTEGER NOT NULL, place INTEGER NOT NULL, key TEXT NOT NULL, value BLOB, created INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS event_revision ON event (revision, place);
  INSERT OR IGNORE INTO state VALUES ('revision', 1), ('oldest', 1);
`;

/** Opens or makes the database of a file. Throws SQLite's "database is locked" when another process has it open. */
export function openEmbeddedDatabase(path: string): EmbeddedDatabase {
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    // The lock is the operating system's and lives as long as this process: a killed one leaves none behind.
    db.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT");
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    db.exec(schema);
    return new SqliteDatabase(db);
  } catch (error) {
    db.close();
    throw error;
  }
}

class SqliteDatabase implements EmbeddedDatabase {
  readonly #db: DatabaseSync;
  readonly #statements: ReturnType<typeof prepareStatements>;
  #revision: Revision;
  #oldest: Revision;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#statements = prepareStatements(db);
    this.#revision = integerOf(this.#statements.state.get("revision")?.value);
    this.#oldest = integerOf(this.#statements.state.get("oldest")?.value);
  }

  revision(): Revision {
    return this.#revision;
  }

  oldest(): Revision {
    return this.#oldest;
  }

  get(key: string): Entry | undefined {
    const row = this.#statements.get.get(key);
    return row === undefined ? undefined : entryOf(row);
  }

  list(prefix: string): Listing {
    const rows = this.#statements.list.all(prefix, prefixEnd(prefix));
    return { revision: this.#revision, entries: rows.map(entryOf) };
  }

  write(operations: readonly Operation[]): Revision {
    return this.#transaction(() => {
      const revision = this.#revision + 1;
      let place = 0;
      for (const operation of operations) {
        if (this.#apply(operation, revision, place)) place += 1;
      }
      if (place === 0) return this.#revision;
      this.#statements.setState.run(revision, "revision");
      return revision;
    });
  }

  events({ prefix, from, revisionsMax }: EventRange): EventBatch {
    const through = Math.min(this.#revision, from + revisionsMax - 1);
    const rows = this.#statements.events.all(from, through, prefix, prefixEnd(prefix));
    return { through, events: rows.map(eventOf) };
  }

  compact(before: Revision): void {
    if (before <= this.#oldest) return;
    this.#transaction(() => {
      this.#statements.forget.run(before);
      this.#statements.setState.run(before, "oldest");
      return this.#revision;
    });
    this.#oldest = before;
  }

  keysOfLease(lease: LeaseId): readonly string[] {
    return this.#statements.keysOfLease.all(lease).map((row) => textOf(row.key));
  }

  keysOfLeases(): readonly string[] {
    return this.#statements.keysOfLeases.all().map((row) => textOf(row.key));
  }

  close(): void {
    this.#db.close();
  }

  /** true when the operation made an event: deleting what is not there makes none. */
  #apply(operation: Operation, revision: Revision, place: number): boolean {
    const { key } = operation;
    const held = this.#statements.created.get(key)?.created;
    if (operation.kind === "delete") {
      if (held === undefined) return false;
      this.#statements.remove.run(key);
      this.#statements.record.run(revision, place, key, null, 0);
      return true;
    }
    const created = held === undefined ? revision : integerOf(held);
    this.#statements.put.run(key, operation.value, created, revision, operation.lease ?? null);
    this.#statements.record.run(revision, place, key, operation.value, created);
    return true;
  }

  #transaction(work: () => Revision): Revision {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const revision = work();
      this.#db.exec("COMMIT");
      this.#revision = revision;
      return revision;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }
}

function prepareStatements(db: DatabaseSync) {
  return {
    state: db.prepare("SELECT value FROM state WHERE name = ?"),
    setState: db.prepare("UPDATE state SET value = ? WHERE name = ?"),
    get: db.prepare("SELECT key, value, created, modified FROM entry WHERE key = ?"),
    created: db.prepare("SELECT created FROM entry WHERE key = ?"),
    list: db.prepare(
      "SELECT key, value, created, modified FROM entry WHERE key >= ? AND key < ? ORDER BY key",
    ),
    put: db.prepare(
      "INSERT OR REPLACE INTO entry (key, value, created, modified, lease) VALUES (?, ?, ?, ?, ?)",
    ),
    remove: db.prepare("DELETE FROM entry WHERE key = ?"),
    record: db.prepare(
      "INSERT INTO event (revision, place, key, value, created) VALUES (?, ?, ?, ?, ?)",
    ),
    events: db.prepare(
      `SELECT revision, key, value, created FROM event
       WHERE revision >= ? AND revision <= ? AND key >= ? AND key < ? ORDER BY revision, place`,
    ),
    forget: db.prepare("DELETE FROM event WHERE revision < ?"),
    keysOfLease: db.prepare("SELECT key FROM entry WHERE lease = ? ORDER BY key"),
    keysOfLeases: db.prepare("SELECT key FROM entry WHERE lease IS NOT NULL ORDER BY key"),
  } as const satisfies { readonly [name: string]: StatementSync };
}

/** Keys are printable ASCII, so that DEL is above every character that may follow a prefix. */
function prefixEnd(prefix: string): string {
  return `${prefix}\x7f`;
}

type Row = { readonly [column: string]: unknown };

function entryOf(row: Row): Entry {
  return {
    key: textOf(row.key),
    value: bytesOf(row.value),
    createRevision: integerOf(row.created),
    modRevision: integerOf(row.modified),
  };
}

function eventOf(row: Row): StoreEvent {
  const key = textOf(row.key);
  const modRevision = integerOf(row.revision);
  if (row.value === null) return { kind: "delete", key, modRevision };
  const createRevision = integerOf(row.created);
  return {
    kind: "put",
    entry: { key, value: bytesOf(row.value), createRevision, modRevision },
  };
}

function integerOf(value: unknown): number {
  if (typeof value === "number") return value;
  throw new TypeError(`the embedded store's file is damaged: ${typeof value} for a number`);
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  throw new TypeError(`the embedded store's file is damaged: ${typeof value} for a text`);
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`the embedded store's file is damaged: ${typeof value} for bytes`);
}
