// The snapshot in force and the one on its way to be: a push is judged, activated, and only then answered.

import { type Problem, problem, refuses } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import type { PolicyPush } from "@meridian/proto/gen/sync_pb";
import { compareVersions } from "@meridian/proto/snapshot";
import type { Refusal, SnapshotSource, SyncCommand } from "./events.ts";
import { judgeOffer, judgePush } from "./judge.ts";

export type Holding = {
  /** The snapshot in force. */
  readonly held: () => Snapshot | undefined;
  readonly refused: () => Refusal | undefined;
  /** `apart`: the sender is out of step with what is held, the session can't go on. */
  readonly push: (
    push: PolicyPush,
    session: number,
  ) => { readonly commands: readonly SyncCommand[]; readonly apart: boolean };
  readonly offer: (
    snapshot: Snapshot,
    source: Exclude<SnapshotSource, "control">,
  ) => readonly SyncCommand[];
  /** The shell's answer to an activation; only the newest is told to a control plane. Shells answer in order. */
  readonly activated: (activation: number, problems: readonly Problem[]) => readonly SyncCommand[];
};

type Pending = {
  readonly activation: number;
  readonly snapshot: Snapshot;
  readonly source: SnapshotSource;
  /** The session that waits for the answer; undefined for an offer. */
  readonly session: number | undefined;
};

type Hand = {
  readonly region: string;
  held: Snapshot | undefined;
  pending: Pending | undefined;
  /** Activations without an answer whose session is over: a newer one was begun beside them. */
  readonly replaced: Map<number, Snapshot>;
  refused: Refusal | undefined;
  activations: number;
};

export function createHolding(region: string): Holding {
  const hand: Hand = {
    region,
    held: undefined,
    pending: undefined,
    replaced: new Map(),
    refused: undefined,
    activations: 0,
  };
  return {
    held: () => hand.held,
    refused: () => hand.refused,
    push: (push, session) => takePush(hand, push, session),
    offer: (snapshot, source) => takeOffer(hand, snapshot, source),
    activated: (activation, problems) => finish(hand, activation, problems),
  };
}

function takePush(hand: Hand, push: PolicyPush, session: number): ReturnType<Holding["push"]> {
  // One un-answered push at a time is the protocol; a second one means that the two sides differ on it.
  if (hand.pending !== undefined && hand.pending.session === session) {
    return { commands: [], apart: true };
  }
  const judgement = judgePush(hand.held, hand.region, push);
  switch (judgement.kind) {
    case "same":
      hand.refused = undefined;
      return { commands: acknowledge(session, hand.held), apart: false };
    case "fit":
      return { commands: activate(hand, judgement.snapshot, "control", session), apart: false };
    case "unfit": {
      const refused = { version: push.version, problems: judgement.problems };
      hand.refused = refused;
      return { commands: [{ kind: "nack", session, ...refused }], apart: judgement.apart };
    }
  }
}

function takeOffer(
  hand: Hand,
  snapshot: Snapshot,
  source: Exclude<SnapshotSource, "control">,
): readonly SyncCommand[] {
  if (hand.pending !== undefined) {
    const busy = problem("activation_pending", "", "another snapshot is being activated");
    return [{ kind: "decline", source, problems: [busy] }];
  }
  const judgement = judgeOffer(hand.held, hand.region, snapshot);
  if (judgement.kind === "same") return [];
  if (judgement.kind === "fit") return activate(hand, judgement.snapshot, source, undefined);
  return [{ kind: "decline", source, problems: judgement.problems }];
}

function activate(
  hand: Hand,
  snapshot: Snapshot,
  source: SnapshotSource,
  session: number | undefined,
): readonly SyncCommand[] {
  hand.activations += 1;
  if (hand.pending !== undefined) {
    hand.replaced.set(hand.pending.activation, hand.pending.snapshot);
  }
  hand.pending = { activation: hand.activations, snapshot, source, session };
  return [{ kind: "activate", activation: hand.activations, snapshot, source }];
}

function finish(
  hand: Hand,
  activation: number,
  problems: readonly Problem[],
): readonly SyncCommand[] {
  const { pending, replaced } = hand;
  const late = replaced.get(activation);
  if (late !== undefined) {
    replaced.delete(activation);
    if (!refuses(problems) && isNewer(late, hand.held)) hand.held = late;
    return [];
  }
  if (pending === undefined || pending.activation !== activation) return [];
  const { session, snapshot, source } = pending;
  hand.pending = undefined;
  if (!refuses(problems)) {
    hand.held = snapshot;
    hand.refused = undefined;
    return session === undefined ? [] : acknowledge(session, snapshot);
  }
  if (session === undefined) return [{ kind: "decline", source, problems }];
  hand.refused = { version: snapshot.version, problems };
  return [{ kind: "nack", session, version: snapshot.version, problems }];
}

function isNewer(next: Snapshot, held: Snapshot | undefined): boolean {
  if (held?.version === undefined) return true;
  return next.version !== undefined && compareVersions(next.version, held.version) > 0;
}

function acknowledge(session: number, held: Snapshot | undefined): readonly SyncCommand[] {
  if (held?.version === undefined) return [];
  return [{ kind: "ack", session, version: held.version, hash: held.hash }];
}
