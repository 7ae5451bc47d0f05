// Carries out how a policy comes into force on all listener threads or on none, and gives targets their slots.

import { toBinary } from "@bufbuild/protobuf";
import type { PreparedSnapshot } from "@meridian/data-core/engine";
import {
  type ActivationCommand,
  type ActivationEvent,
  createActivations,
  type SlotKeeper,
} from "@meridian/data-core/load";
import { assert, assertNever, type Clock, type Problem, type Result } from "@meridian/proto/base";
import { type Snapshot, SnapshotSchema } from "@meridian/proto/gen/snapshot_pb";
import type { ToThread } from "./messages.ts";

export type SharedPolicyOptions = {
  readonly threads: number;
  readonly keeper: SlotKeeper;
  readonly clock: Clock;
  /** On the main thread's own engine: it refuses what can't be served, and claims the slots. */
  readonly prepare: (snapshot: Snapshot) => Result<PreparedSnapshot, readonly Problem[]>;
  readonly say: (message: ToThread) => void;
  /** An activation did not end in time. */
  readonly hangs: () => void;
};

/** Threads prepare and switch in milliseconds; one that takes longer never will. */
const activationMs = 30_000;

type Offer = {
  readonly snapshot: Snapshot;
  readonly answer: (problems: readonly Problem[]) => void;
};

export class SharedPolicy {
  readonly #options: SharedPolicyOptions;
  readonly #activations;
  /** The one under way and the one that waits. */
  readonly #offers = new Map<number, Offer>();
  #prepared: PreparedSnapshot | undefined;
  #count = 0;
  #deadline: NodeJS.Timeout | undefined;

  constructor(options: SharedPolicyOptions) {
    this.#options = options;
    this.#activations = createActivations(options.threads);
  }

  offer(snapshot: Snapshot, answer: Offer["answer"]): void {
    this.#count += 1;
    this.#offers.set(this.#count, { snapshot, answer });
    this.heard({ kind: "offered", activation: this.#count });
  }

  heard(event: ActivationEvent): void {
    for (const command of this.#activations.step(event)) this.#run(command);
  }

  #run(command: ActivationCommand): void {
    const { activation } = command;
    switch (command.kind) {
      case "prepare":
        this.#prepare(activation);
        return;
      case "switch":
        assert(this.#prepared !== undefined, "the main thread prepares first");
        this.#prepared.commit(this.#options.clock.now());
        this.#prepared = undefined;
        this.#options.say({ kind: "switch", activation });
        return;
      case "abort":
        this.#prepared?.abort();
        this.#prepared = undefined;
        this.#options.say({ kind: "abort", activation });
        return;
      case "answer":
        this.#answer(activation, command.problems);
        return;
      default:
        assertNever(command);
    }
  }

  #prepare(activation: number): void {
    const { hangs, keeper, prepare, say } = this.#options;
    const snapshot = this.#offers.get(activation)?.snapshot;
    assert(snapshot !== undefined, "what is prepared was offered");
    const prepared = prepare(snapshot);
    if (prepared.kind === "err") {
      this.heard({ kind: "refused", activation, problems: prepared.error });
      return;
    }
    this.#prepared = prepared.value;
    this.#deadline = setTimeout(hangs, activationMs);
    say({
      kind: "prepare",
      activation,
      snapshot: toBinary(SnapshotSchema, snapshot),
      claims: keeper.claims(),
      fresh: keeper.fresh(),
    });
  }

  #answer(activation: number, problems: readonly Problem[]): void {
    const offer = this.#offers.get(activation);
    this.#offers.delete(activation);
    if (this.#activations.isIdle()) clearTimeout(this.#deadline);
    if (problems.length === 0) this.#options.keeper.acknowledged();
    offer?.answer(problems);
  }
}
