// One thread's part of serving: its engine, its data server, its decision records. The same in the main thread and in
// a listener thread.

import {
  type CallKnowledge,
  createEngine,
  type Engine,
  type PreparedSnapshot,
} from "@meridian/data-core/engine";
import type { LoadShare } from "@meridian/data-core/load";
import { type Clock, ok, type Problem, type Random, type Result } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import type { StateFrame } from "@meridian/proto/gen/sync_pb";
import type { Logger } from "pino";
import { serveSnapshot } from "../control/siblings.ts";
import { createDecisions, type Decisions } from "../decisions/index.ts";
import { listenAll, listenApp } from "../lifecycle.ts";
import { createDataServer, type DataServer } from "../server/index.ts";
import type { Settings } from "../settings.ts";
import type { ProxyMetrics } from "../telemetry.ts";
import type { TlsFiles } from "../tls.ts";

export type ListenerOptions = {
  readonly settings: Settings;
  readonly tls: TlsFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: ProxyMetrics;
  readonly decisions: { readonly name: string; readonly recordsMax: number };
  /** What the main thread reads, too, and other threads share. */
  readonly shared: { readonly load: LoadShare; readonly calls: CallKnowledge };
  readonly onHealthChange?: Parameters<typeof createEngine>[0]["onHealthChange"];
};

export type Listener = {
  readonly engine: Engine;
  readonly server: DataServer;
  readonly decisions: Decisions;
  /** Everything of a snapshot that can fail; the caller ends it by one of the two. */
  readonly prepare: (snapshot: Snapshot) => Result<Prepared, readonly Problem[]>;
  readonly observe: (frame: StateFrame) => void;
  /** `reusePort`: other threads listen on the same ports. */
  readonly listen: (
    addresses: Pick<Settings, "listen" | "peerListen">,
    reusePort: boolean,
  ) => Promise<{ readonly [name: string]: string }>;
  readonly close: () => Promise<void>;
};

export type Prepared = { readonly commit: () => void; readonly abort: () => void };

/** A disk that hangs holds a stop up no longer than this. */
export const diskMs = 2_000;

export function createListener(options: ListenerOptions): Listener {
  const { clock, logger, metrics, random, settings, tls } = options;
  const engine = createEngine({
    region: settings.region,
    random: random.fork("engine"),
    onHealthChange: (target, change) => {
      logger.warn({ target, ...change }, "health changed");
      options.onHealthChange?.(target, change);
    },
    ...options.shared,
  });
  const decisions = openDecisions(options);
  const server = createDataServer({
    engine,
    random: random.fork("server"),
    clock,
    settings,
    peerTls: tls,
    logger,
    metrics,
    decisions,
  });
  metrics.watchConnections(server.clientApp.server);
  if (server.peerApp !== undefined) metrics.watchConnections(server.peerApp.server);
  let held: Snapshot | undefined;
  if (server.peerApp !== undefined) serveSnapshot(server.peerApp, settings.region, () => held);

  function commit(prepared: PreparedSnapshot, snapshot: Snapshot): void {
    prepared.commit(clock.now());
    held = snapshot;
    server.refreshUpstreams();
  }
  return {
    engine,
    server,
    decisions,
    prepare: (snapshot) => {
      const prepared = engine.prepare(snapshot);
      if (prepared.kind === "err") return prepared;
      const { value } = prepared;
      return ok({ commit: () => commit(value, snapshot), abort: value.abort });
    },
    observe: (frame) => {
      engine.apply({ kind: "state", frame }, clock.now());
      decisions.stateSeen();
    },
    listen: (addresses, reusePort) => listenAll(ports(server, addresses, reusePort)),
    close: async () => {
      await server.close();
      await decisions.close();
    },
  };
}

function openDecisions({ clock, decisions, logger, settings }: ListenerOptions): Decisions {
  return createDecisions({
    ...settings,
    ...decisions,
    clock,
    failed: (cause) => logger.warn({ cause: String(cause) }, "decision records can't be written"),
  });
}

function ports(
  server: DataServer,
  addresses: Pick<Settings, "listen" | "peerListen">,
  reusePort: boolean,
): Parameters<typeof listenAll>[0] {
  return [
    {
      name: "clients",
      flag: "--listen",
      address: addresses.listen,
      listen: listenApp(server.clientApp, reusePort),
    },
    {
      name: "peers",
      flag: "--peer-listen",
      address: addresses.peerListen,
      listen: listenApp(server.peerApp, reusePort),
    },
  ];
}
