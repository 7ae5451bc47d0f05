import { seededRandom } from "@meridian/proto/base";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { eventRevision, type StoreEvent } from "./entry.ts";
import { Mirror, sortedEntries } from "./mirror.ts";
import { ModelEtcd, ModelWatch, type ModelWrite } from "./model-etcd.ts";
import { WatchEngine } from "./watch-engine.ts";
import type { ProbeResult, WatchCommand, WatchResponse } from "./watch-messages.ts";

const prefix = "/p/";

/** An engine against the model: every event told is held against what must come next. */
class Play {
  readonly etcd = new ModelEtcd();
  readonly mirror = new Mirror();
  now = 0;
  relists = 0;
  readonly #random = seededRandom("play");
  readonly #shape: { readonly batchRevisions: number; readonly fragmentEvents: number };
  engine: WatchEngine;
  #current: { readonly id: number; readonly watch: ModelWatch } | undefined;
  readonly #left: { readonly id: number; readonly watch: ModelWatch }[] = [];
  readonly #probes: { readonly id: number; readonly early: ProbeResult }[] = [];
  /** Events not below are not yet told. */
  #told = 2;

  constructor(shape: { readonly batchRevisions: number; readonly fragmentEvents: number }) {
    this.#shape = shape;
    this.engine = this.#relist();
  }

  serve(): void {
    this.#current?.watch.serve();
  }

  deliver(): void {
    const current = this.#current;
    const response = current?.watch.underway.shift();
    if (current !== undefined && response !== undefined) this.#respond(current.id, response);
  }

  /** A message of a stream that the engine gave up arrives late. */
  deliverLate(): void {
    for (const { id, watch } of this.#left) {
      const response = watch.underway.shift();
      if (response !== undefined) this.#respond(id, response);
    }
  }

  cut(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#run(this.engine.step({ kind: "failed", stream: current.id, message: "cut" }, this.now));
  }

  /** A read may have been served at any moment between its sending and its answer. */
  answer(how: "as sent" | "as now" | "refused"): void {
    const probe = this.#probes.shift();
    if (probe === undefined) return;
    const refused = { kind: "failed", message: "no quorum" } as const;
    const served = how === "as sent" ? probe.early : this.etcd.probe(prefix);
    const result = how === "refused" ? refused : served;
    this.#run(this.engine.step({ kind: "probed", probe: probe.id, result }, this.now));
  }

  wait(ms: number): void {
    this.now += ms;
    this.#run(this.engine.step({ kind: "tick" }, this.now));
  }

  /** Lets everything through until there is nothing left to tell. */
  settle(): void {
    for (let round = 0; round < 2_000; round++) {
      this.answer("as now");
      this.serve();
      while ((this.#current?.watch.underway.length ?? 0) > 0) this.deliver();
      if (this.engine.state === "live" && this.#told > this.etcd.revision) return;
      this.wait(100);
    }
    throw new Error(`the watch never caught up: ${this.engine.state}`);
  }

  #respond(stream: number, response: WatchResponse): void {
    this.#run(this.engine.step({ kind: "response", stream, response }, this.now));
  }

  #relist(): WatchEngine {
    this.relists += 1;
    this.mirror.reset(this.etcd.list(prefix));
    this.#told = this.etcd.revision + 1;
    this.#probes.length = 0;
    // A shell's streams end with its engine: a new one counts its streams from the start.
    this.#left.length = 0;
    this.engine = new WatchEngine({ from: this.#told, endpoints: 3, random: this.#random });
    this.#run(this.engine.step({ kind: "start" }, this.now));
    return this.engine;
  }

  #run(commands: readonly WatchCommand[]): void {
    for (const command of commands) {
      if (command.kind === "open") {
        const watch = new ModelWatch(this.etcd, { prefix, from: command.from, ...this.#shape });
        this.#current = { id: command.stream, watch };
      } else if (command.kind === "close") {
        if (this.#current !== undefined) this.#left.push(this.#current);
        this.#current = undefined;
      } else if (command.kind === "probe") {
        this.#probes.push({ id: command.probe, early: this.etcd.probe(prefix) });
      } else if (command.kind === "notify") {
        const { notice } = command;
        if (notice.kind === "events") this.#check(notice.events, notice.revision);
        if (notice.kind === "progress") this.#checkProgress(notice.revision);
        if (notice.kind === "compacted") {
          // The model never goes back to its past: only a compaction may end a watch.
          expect(this.etcd.compacted).toBeGreaterThan(0);
          this.#relist();
        }
      }
    }
  }

  #check(events: readonly StoreEvent[], revision: number): void {
    const expected = this.etcd
      .events(prefix, this.#told)
      .filter((event) => eventRevision(event) <= revision);
    expect(events).toEqual(expected);
    this.mirror.apply(events);
    this.#told = revision + 1;
  }

  #checkProgress(revision: number): void {
    const missed = this.etcd
      .events(prefix, this.#told)
      .filter((event) => eventRevision(event) <= revision);
    expect(missed).toEqual([]);
    this.#told = revision + 1;
  }
}

type Action =
  | { readonly kind: "commit"; readonly writes: readonly ModelWrite[] }
  | { readonly kind: "compact"; readonly back: number }
  | { readonly kind: "serve" | "deliver" | "late" | "cut" | "answer" | "overtaken" | "refuse" }
  | { readonly kind: "wait"; readonly ms: number };

const write = fc.record({
  key: fc.constantFrom("/p/a", "/p/b", "/p/c", "/q/a"),
  value: fc.option(fc.nat(255), { nil: undefined }),
});

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: commitOf(write) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("serve", "deliver") }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("late", "cut", "answer", "overtaken", "refuse") }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait"), ms: fc.nat(7_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("compact"), back: fc.nat(6) }) },
);

function commitOf(writes: fc.Arbitrary<ModelWrite>): fc.Arbitrary<Action> {
  return fc.record({
    kind: fc.constant("commit"),
    writes: fc.array(writes, { minLength: 1, maxLength: 4 }),
  });
}

const acts: { readonly [K in Action["kind"]]: (play: Play, action: Action) => void } = {
  commit: (play, each) => each.kind === "commit" && play.etcd.commit(each.writes),
  compact: (play, each) =>
    each.kind === "compact" && play.etcd.compact(play.etcd.revision - each.back),
  wait: (play, each) => each.kind === "wait" && play.wait(each.ms),
  serve: (play) => play.serve(),
  deliver: (play) => play.deliver(),
  late: (play) => play.deliverLate(),
  cut: (play) => play.cut(),
  answer: (play) => play.answer("as now"),
  overtaken: (play) => play.answer("as sent"),
  refuse: (play) => play.answer("refused"),
};

const shape = fc.record({
  batchRevisions: fc.integer({ min: 1, max: 5 }),
  fragmentEvents: fc.integer({ min: 1, max: 8 }),
});

describe("against a model of etcd", () => {
  test("no event is lost, none repeated, order kept; replay equals a full reload", () => {
    fc.assert(
      fc.property(shape, fc.array(action, { maxLength: 120, size: "max" }), (form, actions) => {
        const play = new Play(form);
        for (const each of actions) acts[each.kind](play, each);
        play.settle();
        expect(sortedEntries(play.mirror.entries)).toEqual(play.etcd.list(prefix).entries);
      }),
      { numRuns: 500 },
    );
  });

  test("a cut after the first of several 1,000-revision batches loses nothing", () => {
    const play = new Play({ batchRevisions: 1_000, fragmentEvents: 300 });
    for (let index = 0; index < 3_500; index++) {
      play.etcd.commit([{ key: `/p/${index % 40}`, value: index % 250 }]);
    }
    play.serve();
    play.deliver();
    play.serve();
    play.deliver();
    play.cut();
    play.settle();
    expect(play.relists).toBe(1);
    expect(sortedEntries(play.mirror.entries)).toEqual(play.etcd.list(prefix).entries);
  });
});
