// What serves requests: the main thread itself, or one listener thread per core. The rest of the program can't tell.

import { availableParallelism } from "node:os";
import type { EngineReport } from "@meridian/data-core/engine";
import type { ToldVerdict } from "@meridian/data-core/health";
import type { RegionPaths } from "@meridian/data-core/locality";
import type { Clock, Problem, Random } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import type { StateFrame } from "@meridian/proto/gen/sync_pb";
import type { Logger } from "pino";
import type { Decisions } from "../decisions/index.ts";
import type { Settings } from "../settings.ts";
import type { MetricJson, ProxyMetrics } from "../telemetry.ts";
import type { TlsFiles } from "../tls.ts";
import type { BackendSight } from "./backend-sight.ts";

export type Listeners = {
  /** Puts a snapshot in force on all threads or on none, then answers; no problems: it is in force. */
  readonly activate: (snapshot: Snapshot, answer: (problems: readonly Problem[]) => void) => void;
  readonly observe: (frame: StateFrame) => void;
  /** This proxy's own verdicts on backends, for the time without a control plane. */
  readonly judge: (verdicts: ReadonlyMap<string, ToldVerdict>) => void;
  /** Over all threads. */
  readonly report: () => EngineReport;
  /** Requests admitted so far, by thread. */
  readonly requestsByThread: () => readonly number[];
  /** Opens both ports; "clients" and "peers" → the address in use. Fails with a ListenError. */
  readonly listen: () => Promise<{ readonly [name: string]: string }>;
  /** Refuses new requests; resolves when the last live one has ended. */
  readonly beginDrain: () => Promise<void>;
  /** Ends everything at once, live requests honestly. */
  readonly close: () => Promise<void>;
  /** Of all threads. */
  readonly decisions: Pick<Decisions, "find" | "latest">;
  /** Load of this region's backends, which the threads share. */
  readonly backends: BackendSight;
  /** What is known of the ways to other regions, likewise. */
  readonly paths: RegionPaths;
  /** What threads beside the main one counted for the metrics. */
  readonly counted: () => Promise<Counted>;
};

export type Counted = {
  readonly metrics: readonly (readonly MetricJson[])[];
  readonly decisionsDropped: number;
};

export type ListenerParts = {
  readonly settings: Settings;
  readonly tls: TlsFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: ProxyMetrics;
};

/** With one thread nothing of the others is even loaded, and the other way round. */
export async function startListeners(parts: ListenerParts): Promise<Listeners> {
  const threads = threadsFor(parts.settings.threads);
  if (threads === 1) {
    const { serveHere } = await import("./serve-here.ts");
    return serveHere(parts);
  }
  const { serveInThreads } = await import("./serve-in-threads.ts");
  return serveInThreads(parts, threads);
}

/** Where the system spreads connections over sockets on one port; elsewhere one thread serves. */
const spreading: readonly NodeJS.Platform[] = ["linux", "freebsd"];

/** 0: one per core that this process may use. */
function threadsFor(setting: number): number {
  if (setting > 0) return setting;
  return spreading.includes(process.platform) ? availableParallelism() : 1;
}
