// What the main thread and its listener threads say to each other. Plain data: structured clone carries it as it is,
// and protobuf messages go as their bytes.

import type { CallBuffers } from "@meridian/data-core/engine";
import type { HealthChange, ToldVerdict } from "@meridian/data-core/health";
import type { LoadBuffers } from "@meridian/data-core/load";
import type { Address, Problem } from "@meridian/proto/base";
import type { Settings } from "../settings.ts";
import type { MetricJson } from "../telemetry.ts";
import type { TlsFiles } from "../tls.ts";

/** What a listener thread is started with. */
export type ThreadStart = {
  readonly settings: Settings;
  readonly tls: { readonly [K in keyof TlsFiles]: Uint8Array };
  readonly thread: number;
  readonly threads: number;
  /** Real time at the main thread's clock's zero, by the machine's monotonic clock, in milliseconds. */
  readonly clockZeroMs: number;
  readonly load: LoadBuffers;
  readonly calls: CallBuffers;
};

export type ToThread =
  | { readonly kind: "listen"; readonly listen: Address; readonly peerListen: Address }
  | {
      readonly kind: "prepare";
      readonly activation: number;
      readonly snapshot: Uint8Array;
      /** Load-table id → slot, for every target of the snapshot. */
      readonly claims: ReadonlyMap<string, number>;
      /** Slots whose owner is another one than before. */
      readonly fresh: readonly number[];
    }
  | { readonly kind: "switch" | "abort"; readonly activation: number }
  | { readonly kind: "observe"; readonly frame: Uint8Array }
  | { readonly kind: "verdicts"; readonly verdicts: ReadonlyMap<string, ToldVerdict> }
  /** What a sibling learned. */
  | { readonly kind: "hear"; readonly target: string; readonly change: HealthChange }
  | { readonly kind: "ask"; readonly question: number; readonly about: Question }
  | { readonly kind: "drain" }
  | { readonly kind: "close" };

export type Question =
  | { readonly kind: "counted" }
  | { readonly kind: "find"; readonly id: string }
  | { readonly kind: "latest"; readonly recordsMax: number };

export type Answer =
  | {
      readonly kind: "counted";
      readonly metrics: readonly MetricJson[];
      readonly decisionsDropped: number;
    }
  /** Decision records as bytes, newest first. `oldestMs` as FoundDecisions has it. */
  | {
      readonly kind: "records";
      readonly records: readonly Uint8Array[];
      readonly oldestMs: number;
    };

export type FromThread =
  | { readonly kind: "listening"; readonly clients: string; readonly peers: string }
  /** A ListenError's message. */
  | { readonly kind: "not-listening"; readonly message: string }
  | { readonly kind: "prepared" | "switched"; readonly activation: number }
  | {
      readonly kind: "refused";
      readonly activation: number;
      readonly problems: readonly Problem[];
    }
  | { readonly kind: "health"; readonly target: string; readonly change: HealthChange }
  | { readonly kind: "answer"; readonly question: number; readonly answer: Answer }
  | { readonly kind: "failed"; readonly question: number; readonly message: string }
  | { readonly kind: "drained" }
  | { readonly kind: "closed" };

/** The machine's monotonic clock at this thread's `performance.now() === 0`, milliseconds; threads differ in it. */
export function ownClockZeroMs(): number {
  return Number(process.hrtime.bigint()) / 1e6 - performance.now();
}
