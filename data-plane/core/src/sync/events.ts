// What the sync machine is told (events) and what it asks its shell to do (commands).
// A session is one pair of streams, policy and state, to one control plane.

import type { Instant, Problem, Random } from "@meridian/proto/base";
import type { Snapshot, Version } from "@meridian/proto/gen/snapshot_pb";
import type { PolicyPush, StateFrame } from "@meridian/proto/gen/sync_pb";

/** What a proxy's side of the sync streams is set up with. */
export type SyncOptions = {
  /** The proxy's own region; snapshots of any other are refused. */
  readonly region: string;
  /** How many control planes there are to use. Number 0 is the own region's. */
  readonly controls: number;
  /** For jitter alone. */
  readonly random: Random;
  readonly limits?: Partial<SyncLimits>;
};

/** Limits in time, milliseconds. */
export type SyncLimits = {
  /** How long the own region's control plane must be gone before another region's may be used. */
  readonly homeWaitMs: number;
  /** A session without a state frame for this long is dead. */
  readonly silenceMs: number;
  /** Reconnect after full jitter of 0..min(backoffCapMs, backoffBaseMs × 2^n). */
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  /** While another region's control plane is in use, the own region's is asked this often (± 50 %). */
  readonly probeEveryMs: number;
};

/** Source: design section 5 and reference multiregion 1.4. */
export const defaultSyncLimits: SyncLimits = {
  homeWaitMs: 10_000,
  silenceMs: 5_000,
  backoffBaseMs: 500,
  backoffCapMs: 30_000,
  probeEveryMs: 10_000,
};

/** Where a snapshot came from. */
export type SnapshotSource = "control" | "disk" | "sibling";

export type SyncEvent =
  /** Begin to connect. */
  | { readonly kind: "start" }
  /** `wakeAt()` was reached. Harmless at any other time. */
  | { readonly kind: "time" }
  | { readonly kind: "push"; readonly session: number; readonly push: PolicyPush }
  | { readonly kind: "frame"; readonly session: number; readonly frame: StateFrame }
  /** A stream of the session ended or failed; the session is over. */
  | { readonly kind: "closed"; readonly session: number; readonly reason: string }
  /** A control plane answered a `probe` with its state. */
  | { readonly kind: "probe-answered"; readonly probe: number; readonly frame: StateFrame }
  | { readonly kind: "probe-closed"; readonly probe: number }
  /** The answer to `activate`. Problems that are more than warnings: it is not in force. */
  | {
      readonly kind: "activated";
      readonly activation: number;
      readonly problems: readonly Problem[];
    }
  /** A whole snapshot that no control plane sent. */
  | {
      readonly kind: "offered";
      readonly snapshot: Snapshot;
      readonly source: Exclude<SnapshotSource, "control">;
    }
  /** Close everything and never connect again. */
  | { readonly kind: "stop" };

export type SyncCommand =
  /** Open both streams to a control plane; the policy stream begins with this hello. */
  | {
      readonly kind: "open";
      readonly session: number;
      readonly control: number;
      readonly held: Version | undefined;
      readonly heldHash: string;
    }
  /** Close both streams. No event of the session is listened to any more. */
  | { readonly kind: "close"; readonly session: number; readonly reason: string }
  /** Put this snapshot in force, as a whole or not at all, and answer with `activated`. */
  | {
      readonly kind: "activate";
      readonly activation: number;
      readonly snapshot: Snapshot;
      readonly source: SnapshotSource;
    }
  | {
      readonly kind: "ack";
      readonly session: number;
      readonly version: Version;
      readonly hash: string;
    }
  | {
      readonly kind: "nack";
      readonly session: number;
      readonly version: Version | undefined;
      readonly problems: readonly Problem[];
    }
  /** An offered snapshot was not taken. */
  | {
      readonly kind: "decline";
      readonly source: SnapshotSource;
      readonly problems: readonly Problem[];
    }
  /** Route by this state from now on. */
  | { readonly kind: "observe"; readonly frame: StateFrame }
  /** Ask a control plane for one state frame, beside the open session. */
  | { readonly kind: "probe"; readonly probe: number; readonly control: number }
  | { readonly kind: "end-probe"; readonly probe: number };

/** How old the newest state is: fresh is used, ageing is discounted, stale is last good plus own evidence. */
export type StateAge = {
  readonly kind: "none" | "fresh" | "ageing" | "stale";
  /** Milliseconds since the newest frame; 4294967295 when there was none. */
  readonly ms: number;
};

/** What the machine would tell a person, a metric or a log line. */
export type SyncStatus = {
  readonly link: "idle" | "waiting" | "connecting" | "open";
  /** Number of the control plane of the open session. */
  readonly control: number | undefined;
  /** The snapshot in force. */
  readonly held: Snapshot | undefined;
  readonly stateAge: StateAge;
  /** What the last refused push was refused for; undefined after the next accepted one. */
  readonly refused: Refusal | undefined;
  /** When the next attempt to connect is due, while waiting. */
  readonly retryAt: Instant | undefined;
};

export type Refusal = {
  readonly version: Version | undefined;
  readonly problems: readonly Problem[];
};
