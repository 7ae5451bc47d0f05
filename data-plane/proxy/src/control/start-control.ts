// Everything that a proxy knows from others: the last-good file first, then siblings and control planes.

import { create } from "@bufbuild/protobuf";
import type { SyncStatus } from "@meridian/data-core/sync";
import type { Clock, Random } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { NodeSchema } from "@meridian/proto/gen/sync_pb";
import type { OwnHealth } from "../health/own-health.ts";
import type { PathProber } from "../paths/path-prober.ts";
import type { EngineReader } from "../probe/engine-reader.ts";
import type { Settings } from "../settings.ts";
import type { ProxyMetrics, Readings } from "../telemetry.ts";
import type { Listeners } from "../threads/listeners.ts";
import type { TlsFiles } from "../tls.ts";
import { type ControlLink, type ControlLogger, createControlLink } from "./control-link.ts";
import { PolicyKeeper } from "./policy-keeper.ts";
import { seekSnapshot } from "./siblings.ts";

export type ControlParts = {
  readonly settings: Settings;
  readonly tls: TlsFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: ControlLogger;
  readonly metrics: ProxyMetrics;
  readonly listeners: Listeners;
  readonly health: OwnHealth;
  readonly reader: EngineReader;
  readonly prober: PathProber;
  readonly isStopping: () => boolean;
};

export type Control = {
  readonly status: () => SyncStatus;
  readonly readiness: () => { readonly isReady: boolean; readonly reason: string };
  readonly readings: () => Omit<Readings, "isOpen" | "decisionsDropped">;
  /** Begins to look for control planes and siblings; call it when the proxy serves. */
  readonly connect: () => Promise<void>;
  /** Resolves when the newest snapshot is on disk, too. */
  readonly close: () => Promise<void>;
};

const build = "0.1.0";

/** Resolves when the last-good snapshot, if there is one, is in force. */
export async function startControl(parts: ControlParts): Promise<Control> {
  const { clock, settings, health, listeners, logger, metrics, prober, reader } = parts;
  const applied = (snapshot: Snapshot) => {
    health.arrange(snapshot);
    reader.take(snapshot);
    prober.take(snapshot);
  };
  const keeper = new PolicyKeeper({ ...settings, listeners, metrics, logger, applied });
  const link = createLink(parts, keeper);
  const kept = await keeper.readLastGood();
  if (kept !== undefined) link.offer(kept, "disk");
  await keeper.settled();

  const stopping = new AbortController();
  return {
    status: () => link.status(),
    readiness: () => readiness(link, parts.isStopping()),
    readings: () => ({
      report: listeners.report(),
      requestsByThread: listeners.requestsByThread(),
      probed: health.probed(),
      engines: new Map(
        [...reader.counts()].map(([backend, counts]) => {
          const load = listeners.backends.loadOf(backend, clock.now());
          return [backend, { counts, load }];
        }),
      ),
      paths: prober.readings(),
      status: link.status(),
      controls: new Map(settings.controls.map((each) => [each, each === link.address()])),
      isReady: readiness(link, parts.isStopping()).isReady,
    }),
    connect: async () => {
      seek(parts, link, stopping.signal);
      await link.start();
    },
    close: () => {
      stopping.abort();
      link.close();
      return keeper.written();
    },
  };
}

function createLink(parts: ControlParts, keeper: PolicyKeeper): ControlLink {
  const { clock, health, isStopping, listeners, logger, metrics, random, settings, tls } = parts;
  const { id, region } = settings;
  return createControlLink({
    node: create(NodeSchema, { id, region, build }),
    controls: settings.controls,
    tls,
    clock,
    random: random.fork("control"),
    logger,
    activate: (snapshot, source, answer) => keeper.activate(snapshot, source, answer),
    observe: (frame) => listeners.observe(frame),
    explain: (id) => listeners.decisions.find(id),
    report: () => ({ engine: listeners.report(), draining: isStopping() }),
    probes: (backend) => health.probed().get(backend),
    refused: () => metrics.snapshotRefused(),
  });
}

/** Siblings are asked in the background; it ends when something is in force, from wherever. */
function seek(parts: ControlParts, link: ControlLink, signal: AbortSignal): void {
  const { logger, random, settings, tls } = parts;
  seekSnapshot({
    siblings: settings.siblings,
    region: settings.region,
    tls,
    random: random.fork("siblings"),
    signal,
    isServed: () => link.status().held !== undefined,
    take: (snapshot) => link.offer(snapshot, "sibling"),
    failed: (sibling, reason) => logger.info({ sibling, reason }, "sibling gave no snapshot"),
  }).catch((cause: unknown) => logger.warn({ cause: String(cause) }, "asking siblings failed"));
}

function readiness(link: ControlLink, isStopping: boolean) {
  if (isStopping) return { isReady: false, reason: "stopping" };
  if (link.status().held === undefined) return { isReady: false, reason: "no policy yet" };
  return { isReady: true, reason: "ready" };
}
