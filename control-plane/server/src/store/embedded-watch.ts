// One watch on the embedded store: a cursor into the history that catches up when woken, off the committer's stack.

import type { EmbeddedDatabase } from "./embedded-database.ts";
import type { Revision, WatchOptions } from "./store.ts";

/** Whole revisions told at once; bounds the memory of a watch that is far behind. */
const batchRevisions = 100;

export class EmbeddedWatch {
  readonly #database: EmbeddedDatabase;
  readonly #options: WatchOptions;
  readonly #onEnd: () => void;
  readonly #end = () => this.end();
  #next: Revision;
  #scheduled: NodeJS.Immediate | undefined;
  #ended = false;

  constructor(database: EmbeddedDatabase, options: WatchOptions, onEnd: () => void) {
    this.#database = database;
    this.#options = options;
    this.#onEnd = onEnd;
    this.#next = Math.max(1, options.from);
    options.signal.addEventListener("abort", this.#end, { once: true });
  }

  /** There may be news: catch up soon. */
  wake(): void {
    if (this.#ended || this.#scheduled !== undefined) return;
    this.#scheduled = setImmediate(() => this.#catchUp());
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearImmediate(this.#scheduled);
    this.#options.signal.removeEventListener("abort", this.#end);
    this.#onEnd();
  }

  /** One batch per turn of the event loop, so that a long history does not hold up everything else. */
  #catchUp(): void {
    this.#scheduled = undefined;
    const oldest = this.#database.oldest();
    if (this.#next < oldest) {
      this.end();
      this.#options.notify({ kind: "compacted", oldest });
      return;
    }
    if (this.#next > this.#database.revision()) return;
    const { through, events } = this.#database.events({
      prefix: this.#options.prefix,
      from: this.#next,
      revisionsMax: batchRevisions,
    });
    this.#next = through + 1;
    const last = events.at(-1);
    if (last !== undefined) {
      const revision = last.kind === "put" ? last.entry.modRevision : last.modRevision;
      this.#options.notify({ kind: "events", revision, events });
    }
    this.wake();
  }
}
