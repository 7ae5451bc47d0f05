// One proxy's policy stream, as its control plane sees it: what the proxy holds, the one push that is under way, and
// the newest snapshot that it should get. A later snapshot replaces a waiting one; nothing is ever queued.

import { assertNever, type Instant, type Problem } from "@meridian/proto/base";
import type { Version } from "@meridian/proto/gen/snapshot_pb";
import { compareVersions, formatVersion } from "@meridian/proto/snapshot";

/** A snapshot by its place in the line and its content. */
export type SnapshotRef = { readonly version: Version; readonly hash: string };

export type SubscriptionEvent =
  /** First message of the proxy. held: undefined when it holds nothing. */
  | { readonly kind: "hello"; readonly held: SnapshotRef | undefined }
  /** The newest snapshot of the proxy's region. */
  | { readonly kind: "published"; readonly snapshot: SnapshotRef }
  /** The place for a full snapshot that `enter` asked for is given. */
  | { readonly kind: "entered" }
  | { readonly kind: "ack"; readonly version: Version | undefined; readonly hash: string }
  | {
      readonly kind: "nack";
      readonly version: Version | undefined;
      readonly problems: readonly Problem[];
    }
  /** `subscriptionDueAt` was reached. Harmless at any other time. */
  | { readonly kind: "time" };

export type SubscriptionCommand =
  /** Send what leads from one snapshot to another. fromHash "": the whole. */
  | { readonly kind: "push"; readonly fromHash: string; readonly to: SnapshotRef }
  /** Ask pacing for a place; tell `entered` when it is given. */
  | { readonly kind: "enter" }
  /** Give the place back. Whoever closes the stream for another reason does so too. */
  | { readonly kind: "leave" }
  /** End the stream; the proxy will come again. */
  | { readonly kind: "close"; readonly reason: string };

export type StepContext = {
  readonly now: Instant;
  /** true: the snapshot of this hash is at hand, so that a delta from it can be made. */
  readonly holds: (hash: string) => boolean;
};

export type Stepped = {
  readonly state: Subscription;
  readonly commands: readonly SubscriptionCommand[];
};

export type Subscription = {
  readonly phase:
    | { readonly kind: "greeting"; readonly since: Instant }
    /** Nothing is under way. */
    | { readonly kind: "idle" }
    /** Waits for a place to send a full snapshot. */
    | { readonly kind: "entering" }
    | {
        readonly kind: "pushing";
        readonly fromHash: string;
        readonly to: SnapshotRef;
        readonly since: Instant;
        /** Holds a place of pacing. */
        readonly paced: boolean;
      }
    | { readonly kind: "closed" };
  /** What the proxy said that it holds. */
  readonly held: SnapshotRef | undefined;
  readonly newest: SnapshotRef | undefined;
  /** Hashes that the proxy refused, oldest first: never sent again on this stream. */
  readonly refused: readonly string[];
  /** What the proxy holds is not what it said: send the whole. */
  readonly distrusted: boolean;
};

/** Times in milliseconds. A proxy that says nothing for so long is told to come again. */
export const subscriptionLimits = {
  helloMs: 10_000,
  /** From a push to its answer. A proxy warms its backends before it answers. */
  answerMs: 30_000,
  /** Refused hashes that are remembered. */
  refusedMax: 16,
} as const;

/** Problem codes that blame the way, not the content: the whole may still be accepted. */
const deltaFaults: ReadonlySet<string> = new Set(["delta_mismatch", "hash_mismatch"]);

export function openSubscription(now: Instant, newest?: SnapshotRef): Subscription {
  return {
    phase: { kind: "greeting", since: now },
    held: undefined,
    newest,
    refused: [],
    distrusted: false,
  };
}

/** When a `time` event is due; undefined: not before another event. */
export function subscriptionDueAt({ phase }: Subscription): Instant | undefined {
  if (phase.kind === "greeting") return phase.since + subscriptionLimits.helloMs;
  return phase.kind === "pushing" ? phase.since + subscriptionLimits.answerMs : undefined;
}

/** What follows from an event. After `close` every event is ignored. */
export function stepSubscription(
  state: Subscription,
  event: SubscriptionEvent,
  context: StepContext,
): Stepped {
  if (state.phase.kind === "closed") return { state, commands: [] };
  switch (event.kind) {
    case "hello":
      if (state.phase.kind !== "greeting") return close(state, "a second hello on one stream");
      return advance({ ...state, held: event.held, phase: { kind: "idle" } }, context);
    case "published":
      return advance(publish(state, event.snapshot), context);
    case "entered":
      return state.phase.kind === "entering" ? enter(state, context) : { state, commands: [] };
    case "ack":
    case "nack":
      return answer(state, event, context);
    case "time":
      return checkTime(state, context.now);
    default:
      return assertNever(event);
  }
}

/** Takes a newer snapshot; an older one, or the same, changes nothing. */
function publish(state: Subscription, snapshot: SnapshotRef): Subscription {
  const { newest } = state;
  const isOlder = newest !== undefined && compareVersions(snapshot.version, newest.version) < 0;
  return isOlder ? state : { ...state, newest: snapshot };
}

/** Sends the newest snapshot when nothing is under way and the proxy should have it. */
function advance(state: Subscription, context: StepContext): Stepped {
  const wanted = wantedSnapshot(state);
  if (state.phase.kind !== "idle" || wanted === undefined) return { state, commands: [] };
  const { held } = state;
  if (held !== undefined && !state.distrusted && context.holds(held.hash)) {
    return push(state, { fromHash: held.hash, to: wanted, paced: false }, context.now);
  }
  return { state: { ...state, phase: { kind: "entering" } }, commands: [{ kind: "enter" }] };
}

/** undefined: the proxy has it, has refused it, or is ahead of this control plane. */
function wantedSnapshot({ held, newest, refused }: Subscription): SnapshotRef | undefined {
  if (newest === undefined || refused.includes(newest.hash)) return undefined;
  if (held === undefined) return newest;
  const order = compareVersions(newest.version, held.version);
  if (order < 0 || (order === 0 && newest.hash === held.hash)) return undefined;
  return newest;
}

/** A place is given: the newest snapshot of now is sent, not the one of when the place was asked for. */
function enter(state: Subscription, context: StepContext): Stepped {
  const wanted = wantedSnapshot(state);
  if (wanted === undefined) {
    return { state: { ...state, phase: { kind: "idle" } }, commands: [{ kind: "leave" }] };
  }
  return push(state, { fromHash: "", to: wanted, paced: true }, context.now);
}

function push(
  state: Subscription,
  what: { readonly fromHash: string; readonly to: SnapshotRef; readonly paced: boolean },
  now: Instant,
): Stepped {
  return {
    state: { ...state, phase: { kind: "pushing", ...what, since: now } },
    commands: [{ kind: "push", fromHash: what.fromHash, to: what.to }],
  };
}

function answer(
  state: Subscription,
  event: Extract<SubscriptionEvent, { kind: "ack" | "nack" }>,
  context: StepContext,
): Stepped {
  const { phase } = state;
  if (phase.kind !== "pushing" || !isSame(event.version, phase.to.version)) {
    return close(state, `an answer to ${formatVersion(event.version)}, which is not under way`);
  }
  if (event.kind === "ack" && event.hash !== phase.to.hash) {
    return close(state, "an answer with a hash that was not sent");
  }
  const idle: Subscription = { ...state, phase: { kind: "idle" } };
  const answered: Subscription =
    event.kind === "ack"
      ? { ...idle, held: phase.to, distrusted: false }
      : refuse(idle, phase, event.problems);
  const next = advance(answered, context);
  return phase.paced ? { ...next, commands: [{ kind: "leave" }, ...next.commands] } : next;
}

/** A refused delta may have been the delta's fault: then the whole is tried once. A refused whole is refused. */
function refuse(
  state: Subscription,
  pushed: { readonly fromHash: string; readonly to: SnapshotRef },
  problems: readonly Problem[],
): Subscription {
  const isDeltaFault = problems.some((each) => deltaFaults.has(each.code));
  if (pushed.fromHash !== "" && isDeltaFault) return { ...state, distrusted: true };
  const refused = [...state.refused, pushed.to.hash].slice(-subscriptionLimits.refusedMax);
  return { ...state, refused };
}

function checkTime(state: Subscription, now: Instant): Stepped {
  const dueAt = subscriptionDueAt(state);
  if (dueAt === undefined || now < dueAt) return { state, commands: [] };
  const missing = state.phase.kind === "greeting" ? "no hello" : "no answer to a push";
  return close(state, `${missing} in time`);
}

function close(state: Subscription, reason: string): Stepped {
  const { phase } = state;
  const holdsPlace = phase.kind === "entering" || (phase.kind === "pushing" && phase.paced);
  const leave: readonly SubscriptionCommand[] = holdsPlace ? [{ kind: "leave" }] : [];
  return {
    state: { ...state, phase: { kind: "closed" } },
    commands: [...leave, { kind: "close", reason }],
  };
}

function isSame(a: Version | undefined, b: Version): boolean {
  return a !== undefined && compareVersions(a, b) === 0;
}
