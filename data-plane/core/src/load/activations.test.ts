import { problem } from "@meridian/proto/base";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ActivationCommand, type ActivationEvent, createActivations } from "./activations.ts";
import { createLoadBuffers, openLoadBuffers } from "./load-share.ts";
import type { LoadTable } from "./load-table.ts";
import { SlotKeeper } from "./slot-keeper.ts";

const told = (commands: readonly ActivationCommand[]) =>
  commands.map((each) => `${each.kind} ${each.activation}`);

const no = [problem("too_many_targets", "b", "no room")];

test("all threads prepare, then all switch, and only then it is answered", () => {
  const { step } = createActivations(2);
  expect(told(step({ kind: "offered", activation: 1 }))).toEqual(["prepare 1"]);
  expect(step({ kind: "prepared", activation: 1, thread: 0 })).toEqual([]);
  expect(step({ kind: "prepared", activation: 1, thread: 0 })).toEqual([]);
  expect(told(step({ kind: "prepared", activation: 1, thread: 1 }))).toEqual(["switch 1"]);
  expect(step({ kind: "switched", activation: 1, thread: 1 })).toEqual([]);
  const done = step({ kind: "switched", activation: 1, thread: 0 });
  expect(done).toEqual([{ kind: "answer", activation: 1, problems: [] }]);
});

test("one that refuses keeps all on the former one, with its reasons", () => {
  const { step } = createActivations(2);
  step({ kind: "offered", activation: 1 });
  step({ kind: "prepared", activation: 1, thread: 0 });
  expect(step({ kind: "refused", activation: 1, problems: no })).toEqual([
    { kind: "abort", activation: 1 },
    { kind: "answer", activation: 1, problems: no },
  ]);
  expect(step({ kind: "prepared", activation: 1, thread: 1 })).toEqual([]);
});

test("of those that wait the newest has its turn, and the others are told so", () => {
  const { step, isIdle } = createActivations(1);
  step({ kind: "offered", activation: 1 });
  expect(step({ kind: "offered", activation: 2 })).toEqual([]);
  expect(step({ kind: "offered", activation: 3 })).toMatchObject([
    { kind: "answer", activation: 2, problems: [{ code: "activation_replaced" }] },
  ]);
  expect(told(step({ kind: "refused", activation: 1, problems: no }))).toEqual([
    "abort 1",
    "answer 1",
    "prepare 3",
  ]);
  step({ kind: "prepared", activation: 3, thread: 0 });
  expect(isIdle()).toBe(false);
  expect(told(step({ kind: "switched", activation: 3, thread: 0 }))).toEqual(["answer 3"]);
  expect(isIdle()).toBe(true);
});

/** What a listener thread does, as far as slots go: it prepares, switches, and calls what its policy names. */
type Thread = {
  readonly load: LoadTable;
  readonly inbox: Message[];
  serving: ReadonlyMap<string, number>;
  prepared: ReadonlyMap<string, number> | undefined;
  readonly calls: { readonly id: string; readonly slot: number }[];
};

type Message = ActivationCommand & { readonly claims: ReadonlyMap<string, number> };

/** The main thread and its listener threads, with messages that take any time. */
class World {
  readonly #activations;
  readonly #keeper: SlotKeeper;
  readonly #ids = new Map<number, readonly string[]>();
  readonly #toMain: ActivationEvent[] = [];
  readonly threads: readonly Thread[];
  readonly answers = new Map<number, boolean>();
  #offers = 0;

  constructor(threads: number, slots: number) {
    const buffers = createLoadBuffers(threads, slots);
    const open = (own: number) => openLoadBuffers(buffers, { count: threads, own }).table;
    this.#activations = createActivations(threads);
    this.#keeper = new SlotKeeper(open(0), { shared: true });
    this.threads = Array.from({ length: threads }, (_, own) => ({
      load: open(own),
      inbox: [],
      serving: new Map(),
      prepared: undefined,
      calls: [],
    }));
  }

  offer(ids: readonly string[]): void {
    this.#offers += 1;
    this.#ids.set(this.#offers, ids);
    this.#step({ kind: "offered", activation: this.#offers });
  }

  /** The main thread reads one message. */
  main(): boolean {
    const event = this.#toMain.shift();
    if (event !== undefined) this.#step(event);
    return event !== undefined;
  }

  /** A listener thread reads one message; `refuses`: it can't prepare what it is asked to. */
  listener(thread: number, refuses: boolean): boolean {
    const self = this.threads[thread];
    const message = self?.inbox.shift();
    if (self === undefined || message === undefined) return false;
    const { activation } = message;
    if (message.kind === "prepare" && refuses) {
      this.#toMain.push({ kind: "refused", activation, problems: no });
    } else if (message.kind === "prepare") {
      self.prepared = message.claims;
      this.#toMain.push({ kind: "prepared", activation, thread });
    } else if (message.kind === "switch") {
      self.serving = self.prepared ?? new Map();
      this.#toMain.push({ kind: "switched", activation, thread });
    } else {
      self.prepared = undefined;
    }
    return true;
  }

  call(thread: number, at: number): void {
    const self = this.threads[thread];
    const target = [...(self?.serving ?? [])][at % Math.max(1, self?.serving.size ?? 0)];
    if (self === undefined || target === undefined) return;
    const [id, slot] = target;
    self.load.start(slot, 1);
    self.calls.push({ id, slot });
  }

  end(thread: number): void {
    const self = this.threads[thread];
    const call = self?.calls.shift();
    if (call !== undefined) self?.load.end(call.slot, 1, "succeeded");
  }

  #step(event: ActivationEvent): void {
    for (const command of this.#activations.step(event)) this.#run(command);
  }

  #run(command: ActivationCommand): void {
    const { activation, kind } = command;
    if (kind === "answer") {
      this.answers.set(activation, command.problems.length === 0);
      if (command.problems.length === 0) this.#keeper.acknowledged();
      return;
    }
    if (kind === "prepare") {
      const claimed = (this.#ids.get(activation) ?? []).map((id) => this.#keeper.claim(id));
      if (claimed.includes(undefined)) {
        this.#toMain.push({ kind: "refused", activation, problems: no });
        return;
      }
    }
    const claims = this.#keeper.claims();
    if (kind === "switch") this.#keeper.commit();
    if (kind === "abort") this.#keeper.abort();
    for (const each of this.threads) each.inbox.push({ ...command, claims });
  }

  /** slot → ids that some thread may still count on: its policy in force, and its calls. */
  owners(): ReadonlyMap<number, ReadonlySet<string>> {
    const owners = new Map<number, Set<string>>();
    const note = (id: string, slot: number) => {
      owners.set(slot, (owners.get(slot) ?? new Set()).add(id));
    };
    for (const { serving, calls } of this.threads) {
      for (const [id, slot] of serving) note(id, slot);
      for (const { id, slot } of calls) note(id, slot);
    }
    return owners;
  }
}

const ids = ["a", "b", "c", "d", "e"];
const threads = 3;
const move = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("offer" as const), ids: fc.subarray(ids) }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("main" as const) }) },
  {
    weight: 16,
    arbitrary: fc.record({
      kind: fc.constant("listener" as const),
      thread: fc.nat(threads - 1),
      luck: fc.nat(19),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("call" as const, "end" as const),
      thread: fc.nat(threads - 1),
      at: fc.nat(9),
    }),
  },
);

test("a slot never has a second owner while any thread may count on the first, whatever the order of messages", () => {
  let reused = 0;
  let shared = 0;
  fc.assert(
    fc.property(fc.array(move, { minLength: 100, maxLength: 400, size: "max" }), (moves) => {
      const world = new World(threads, 4);
      /** Slot → who counted on it last. */
      const past = new Map<number, string>();
      for (const each of moves) {
        if (each.kind === "offer") world.offer(each.ids);
        else if (each.kind === "main") world.main();
        else if (each.kind === "listener") world.listener(each.thread, each.luck === 0);
        else if (each.kind === "call") world.call(each.thread, each.at);
        else world.end(each.thread);
        for (const [slot, owners] of world.owners()) {
          expect([...owners]).toHaveLength(1);
          const [owner = ""] = owners;
          if (past.has(slot) && past.get(slot) !== owner) reused += 1;
          past.set(slot, owner);
        }
        if (world.threads.every((one) => one.calls.length > 0)) shared += 1;
      }
    }),
    { numRuns: 100 },
  );
  // The property means something only if slots did change hands, and threads did call at the same time.
  expect(Math.min(reused, shared)).toBeGreaterThan(20);
});

test("when every message has been read, all threads serve by the same policy: the newest that was taken", () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 120 }), (moves) => {
      const world = new World(threads, 4);
      const offered: (readonly string[])[] = [];
      for (const each of moves) {
        if (each.kind === "offer") {
          world.offer(each.ids);
          offered.push(each.ids);
        } else if (each.kind === "main") world.main();
        else if (each.kind === "listener") world.listener(each.thread, each.luck === 0);
      }
      const all = [...world.threads.keys()];
      while (all.some((thread) => world.listener(thread, false)) || world.main());
      expect(world.answers.size).toBe(offered.length);
      const taken = [...world.answers].filter(([, isTaken]) => isTaken).map(([each]) => each);
      const newest = offered[Math.max(0, ...taken) - 1] ?? [];
      for (const { serving } of world.threads) {
        expect([...serving.keys()].sort()).toEqual([...newest].sort());
        expect(serving).toEqual(world.threads[0]?.serving);
      }
    }),
  );
});
