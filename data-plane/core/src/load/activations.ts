// How a policy comes into force on all listener threads or on none: events in, commands out. First every thread
// prepares it; when all could, all switch; when one could not, nobody does. One at a time, and the newest may wait.

import type { Problem } from "@meridian/proto/base";
import { assertNever, problem } from "@meridian/proto/base";

export type ActivationEvent =
  /** A policy is to be put in force; the number is the caller's name for it, never used twice. */
  | { readonly kind: "offered"; readonly activation: number }
  /** A thread could put it in force, and waits for the word. */
  | { readonly kind: "prepared"; readonly activation: number; readonly thread: number }
  /** Somebody can't. */
  | {
      readonly kind: "refused";
      readonly activation: number;
      readonly problems: readonly Problem[];
    }
  /** A thread serves by it from now on, and starts nothing by the former one. */
  | { readonly kind: "switched"; readonly activation: number; readonly thread: number };

export type ActivationCommand =
  /** Let every thread prepare it. */
  | { readonly kind: "prepare"; readonly activation: number }
  /** All can: let every thread switch. */
  | { readonly kind: "switch"; readonly activation: number }
  /** Let every thread forget it; the former one stays in force. */
  | { readonly kind: "abort"; readonly activation: number }
  /** The answer for who offered it. No problems: all threads serve by it. */
  | {
      readonly kind: "answer";
      readonly activation: number;
      readonly problems: readonly Problem[];
    };

type Phase =
  | { readonly kind: "idle" }
  | {
      readonly kind: "preparing" | "switching";
      readonly activation: number;
      /** Threads whose word is missing. */
      readonly missing: Set<number>;
    };

export type Activations = {
  readonly step: (event: ActivationEvent) => readonly ActivationCommand[];
  /** Nothing is under way. */
  readonly isIdle: () => boolean;
};

/** @example run(createActivations(2).step({ kind: "offered", activation: 1 })); // → [{ kind: "prepare", … }] */
export function createActivations(threads: number): Activations {
  let phase: Phase = { kind: "idle" };
  let waiting: number | undefined;

  function everyone(): Set<number> {
    return new Set(Array.from({ length: threads }, (_, thread) => thread));
  }

  function begin(activation: number): readonly ActivationCommand[] {
    phase = { kind: "preparing", activation, missing: everyone() };
    return [{ kind: "prepare", activation }];
  }

  /** The next one, after the answer to this one. */
  function finish(commands: readonly ActivationCommand[]): readonly ActivationCommand[] {
    phase = { kind: "idle" };
    const next = waiting;
    waiting = undefined;
    return next === undefined ? commands : [...commands, ...begin(next)];
  }

  function offered(activation: number): readonly ActivationCommand[] {
    if (phase.kind === "idle") return begin(activation);
    const replaced = waiting;
    waiting = activation;
    if (replaced === undefined) return [];
    const problems = [problem("activation_replaced", "", "a newer policy came before its turn")];
    return [{ kind: "answer", activation: replaced, problems }];
  }

  function step(event: ActivationEvent): readonly ActivationCommand[] {
    const { activation } = event;
    if (event.kind === "offered") return offered(activation);
    // Words about what was aborted come late, and no longer matter.
    if (phase.kind === "idle" || phase.activation !== activation) return [];
    switch (event.kind) {
      case "prepared":
        if (phase.kind !== "preparing") return [];
        phase.missing.delete(event.thread);
        if (phase.missing.size > 0) return [];
        phase = { kind: "switching", activation, missing: everyone() };
        return [{ kind: "switch", activation }];
      case "refused":
        if (phase.kind !== "preparing") return [];
        return finish([
          { kind: "abort", activation },
          { kind: "answer", activation, problems: event.problems },
        ]);
      case "switched":
        if (phase.kind !== "switching") return [];
        phase.missing.delete(event.thread);
        if (phase.missing.size > 0) return [];
        return finish([{ kind: "answer", activation, problems: [] }]);
      default:
        return assertNever(event);
    }
  }
  return { step, isIdle: () => phase.kind === "idle" };
}
