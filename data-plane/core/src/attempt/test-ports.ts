// The world of an attempt machine, faked: candidates in a row, budgets in a purse, and what became of each call.

import type { Random } from "@meridian/proto/base";
import type {
  AttemptCommand,
  AttemptEnd,
  AttemptEvent,
  AttemptPorts,
  Budgets,
  CallBudget,
  Candidate,
} from "./attempt.ts";
import { AttemptMachine } from "./attempt-machine.ts";
import { type FailureKind, upstreamFailure } from "./failure.ts";

export const budgets: Budgets = {
  connectMs: 100,
  headersMs: 1_000,
  slowMs: 99_999,
  firstTokenMs: 1_000,
  betweenTokensMs: 500,
  totalMs: 10_000,
  attempts: 3,
  hedges: false,
  continues: false,
  holdMs: 0,
};

/** Back-offs of this one are over at once. */
export const noWait: Random = { next: () => 0, integer: () => 0, fork: () => noWait };

export function candidate(slot: number, kind: Candidate["kind"] = "backend"): Candidate {
  return {
    kind,
    slot,
    name: `c${slot}`,
    region: kind === "peer" ? `r${slot}` : "own",
    origin: "http://x",
    protocol: "openai",
    model: "m",
    upstreamModel: undefined,
    assistantPrefix: kind === "peer" || slot % 2 === 1 ? "append" : "none",
  };
}

function canContinue(each: Candidate): boolean {
  return each.assistantPrefix !== "none";
}

export type Fake = AttemptPorts & {
  readonly ends: AttemptEnd[];
  readonly slowOnes: number[];
  readonly waits: [slot: number, ms: number][];
  readonly spent: CallBudget[];
  live: number;
  liveMost: number;
  /** Calls that each budget still pays for. */
  readonly purse: { retry: number; hedge: number };
  hedgeMs: number;
  /** While true nobody has room: who may be held is. */
  isFull: boolean;
  /** Requests that are held now. */
  waiting: number;
};

export function ports(candidates: readonly Candidate[]): Fake {
  const fake: Fake = {
    ends: [],
    slowOnes: [],
    waits: [],
    spent: [],
    live: 0,
    liveMost: 0,
    purse: { retry: 100, hedge: 100 },
    hedgeMs: 200,
    isFull: false,
    waiting: 0,
    next: ({ excluded, role, callsLeft, holdLeftMs }, now) => {
      if (callsLeft <= 0) throw new Error("no call is left, and one is asked for");
      if (fake.isFull && holdLeftMs > 0) {
        return { kind: "hold", candidate: undefined, reason: "full", askAt: now + 25 };
      }
      const able = role === "continuation" ? candidates.filter(canContinue) : candidates;
      const found = able.find((each) => !excluded.includes(each.slot));
      return found === undefined
        ? { kind: "none", candidate: undefined, reason: "nobody", retryAfterMs: 700 }
        : { candidate: found, reason: "first", considered: { names: [], scores: [] } };
    },
    held: () => {
      if (fake.waiting === 1) throw new Error("it is held already");
      fake.waiting = 1;
    },
    released: () => {
      if (fake.waiting === 0) throw new Error("it was not held");
      fake.waiting = 0;
    },
    started: () => {
      fake.live += 1;
      fake.liveMost = Math.max(fake.liveMost, fake.live);
    },
    slow: ({ slot }) => {
      fake.slowOnes.push(slot);
    },
    waited: ({ slot }, { ms }) => {
      fake.waits.push([slot, ms]);
    },
    slowAfterMs: () => Number.POSITIVE_INFINITY,
    hedgeDelayMs: () => fake.hedgeMs,
    spend: (budget) => {
      if (fake.purse[budget] <= 0) return false;
      fake.purse[budget] -= 1;
      fake.spent.push(budget);
      return true;
    },
    ended: (end) => {
      fake.live -= 1;
      fake.ends.push(end);
    },
  };
  return fake;
}

export function machine(
  count: number,
  given: Partial<Budgets> = {},
): { machine: AttemptMachine; fake: Fake } {
  const fake = ports(Array.from({ length: count }, (_, slot) => candidate(slot)));
  return { machine: new AttemptMachine(fake, { ...budgets, ...given }, noWait), fake };
}

export function failed(attempt: number, kind: FailureKind = "connect"): AttemptEvent {
  return { kind: "failed", attempt, failure: upstreamFailure(kind, "x") };
}

/** "hold", "call 1", "hedge 2", "continuation 3", "cancel 1", "commit 2", "splice 3", "finish complete". */
export function kinds(commands: readonly AttemptCommand[]): readonly string[] {
  return commands.map((each) => {
    if (each.kind === "finish") return `finish ${each.ending.kind}`;
    if (each.kind === "hold") return each.kind;
    const isPlain = each.kind !== "call" || each.role === "first" || each.role === "retry";
    if (!isPlain) return `${each.role} ${each.attempt}`;
    return `${each.kind} ${each.attempt}`;
  });
}

export function token(attempt: number, continuable = false): AttemptEvent {
  return { kind: "token", attempt, continuable };
}
