// What the proxy tells about itself: log lines on stderr and metrics. Neither ever carries prompts, keys or secrets.

import type { Server } from "node:net";
import type { EngineLoad } from "@meridian/data-core/balance";
import type { EngineReport } from "@meridian/data-core/engine";
import type { SnapshotSource, SyncStatus } from "@meridian/data-core/sync";
import { type Logger, pino } from "pino";
import {
  AggregatorRegistry,
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from "prom-client";
import { type MetricRow, metricTable } from "./metric-table.ts";
import type { PathReading } from "./paths/path-prober.ts";
import type { ReadingCounts } from "./probe/engine-reader.ts";
import type { ProbeCounts } from "./probe/prober.ts";
import type { FinishedExchange, RequestMetrics } from "./server/index.ts";

/** Values that are read when somebody asks for the metrics. */
export type Readings = {
  readonly report: EngineReport;
  /** By backend, for those that this proxy has probed. */
  readonly probed: ReadonlyMap<string, ProbeCounts>;
  /** By backend, for those whose metrics this proxy has asked for. */
  readonly engines: ReadonlyMap<string, EngineReading>;
  readonly status: SyncStatus;
  /** Of the ways to other regions, for those that this proxy has tried. */
  readonly paths: ReadonlyMap<string, PathReading>;
  /** Control planes by address; the one in use is true. */
  readonly controls: ReadonlyMap<string, boolean>;
  readonly isReady: boolean;
  readonly isOpen: boolean;
  /** Decision records that did not get to disk. */
  readonly decisionsDropped: number;
  /** Requests admitted so far, by listener thread. */
  readonly requestsByThread: readonly number[];
};

/** What came of asking a model server for its metrics, and what it says now. */
export type EngineReading = { readonly counts: ReadingCounts; readonly load: EngineLoad };

/** One metric as it is handed from thread to thread. */
export type MetricJson = MetricObjectWithValues<MetricValue<string>>;

export type ProxyMetrics = RequestMetrics & {
  readonly snapshotApplied: (source: SnapshotSource) => void;
  readonly snapshotRefused: () => void;
  readonly lastGoodFailed: () => void;
  /** Counts the bytes of a server's connections from now on. */
  readonly watchConnections: (server: Server) => void;
  /** What this thread counted of requests and connections, for the main thread to add. */
  readonly counted: () => Promise<readonly MetricJson[]>;
  /** The text that Prometheus reads; what other threads counted is added. */
  readonly expose: (
    readings: Readings,
    others: readonly (readonly MetricJson[])[],
  ) => Promise<string>;
  readonly contentType: string;
};

export function createLogger(options: {
  readonly level: string;
  readonly id: string;
  readonly region: string;
  /** Of a listener thread beside the main thread. */
  readonly thread?: number;
}): Logger {
  const { level, id, region, thread } = options;
  const base = { program: id, region, ...(thread === undefined ? {} : { thread }) };
  // Threads write to one pipe: what is no longer than this is written as a whole (POSIX, PIPE_BUF).
  return pino({ level, base }, pino.destination({ dest: 2, sync: false, maxWrite: 4_096 }));
}

/** From a quick local answer to a long generation, in seconds. */
const durationBuckets = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60, 180, 600];

/** `ownRegion`: what is answered elsewhere counts as cross-region. */
export function createMetrics(ownRegion: string): ProxyMetrics {
  const registry = new Registry();
  const counters = createCounters(registry);
  const gauges = createGauges(registry);
  const connections = new ConnectionBytes();
  return {
    finished: (exchange) => countExchange(counters, ownRegion, exchange),
    shadowed: ({ route, model, outcome, firstTokenMs }) => {
      counters.shadows.inc({ route, model, outcome });
      if (firstTokenMs === undefined) return;
      counters.shadowFirstToken.observe({ route, model }, firstTokenMs / 1_000);
    },
    shadowSkipped: (skipped) => counters.shadowsSkipped.inc({ ...skipped }),
    snapshotApplied: (source) => counters.snapshotsApplied.inc({ source }),
    snapshotRefused: () => counters.snapshotsRefused.inc(),
    lastGoodFailed: () => counters.lastGoodFailures.inc(),
    watchConnections: (server) => connections.watch(server),
    counted: async () => {
      setBytes(counters, connections);
      const metrics = await registry.getMetricsAsJSON();
      return metrics.filter((each) => isCounted(each));
    },
    expose: async (readings, others) => {
      setGauges(gauges, readings);
      setBytes(counters, connections);
      setProbes(counters, readings.probed);
      setPaths(counters, gauges, readings.paths);
      setEngines(counters, gauges, readings.engines);
      counters.edgeRequests.reset();
      counters.edgeRequests.inc({ outcome: "answered" }, readings.report.edge.answered);
      counters.edgeRequests.inc({ outcome: "failed" }, readings.report.edge.failed);
      counters.tokens.reset();
      counters.tokens.inc({ direction: "input" }, readings.report.inputTokens);
      counters.tokens.inc({ direction: "output" }, readings.report.outputTokens);
      counters.decisionsDropped.reset();
      counters.decisionsDropped.inc(readings.decisionsDropped);
      counters.threadRequests.reset();
      for (const [thread, requests] of readings.requestsByThread.entries()) {
        counters.threadRequests.inc({ thread: String(thread) }, requests);
      }
      if (others.length === 0) return registry.metrics();
      const all = [await registry.getMetricsAsJSON(), ...others];
      return AggregatorRegistry.aggregate(all).metrics();
    },
    contentType: registry.contentType,
  };
}

function createCounters(registry: Registry) {
  const counter = <L extends string>(row: MetricRow & { readonly labels: readonly L[] }) =>
    new Counter({ ...described(row), registers: [registry] });
  const histogram = <L extends string>(row: MetricRow & { readonly labels: readonly L[] }) =>
    new Histogram({ ...described(row), buckets: durationBuckets, registers: [registry] });
  return {
    requests: counter(metricTable.requests),
    refusals: counter(metricTable.refusals),
    edgeRequests: counter(metricTable.edgeRequests),
    brokenStreams: counter(metricTable.brokenStreams),
    attempts: counter(metricTable.attempts),
    crossRegion: counter(metricTable.crossRegion),
    duration: histogram(metricTable.duration),
    firstToken: histogram(metricTable.firstToken),
    held: histogram(metricTable.held),
    regionRefusals: counter(metricTable.regionRefusals),
    pathRequests: counter(metricTable.pathRequests),
    shadows: counter(metricTable.shadows),
    shadowsSkipped: counter(metricTable.shadowsSkipped),
    shadowFirstToken: histogram(metricTable.shadowFirstToken),
    tokens: counter(metricTable.tokens),
    bytes: counter(metricTable.bytes),
    threadRequests: counter(metricTable.threadRequests),
    snapshotsApplied: counter(metricTable.snapshotsApplied),
    snapshotsRefused: counter(metricTable.snapshotsRefused),
    lastGoodFailures: counter(metricTable.lastGoodFailures),
    probes: counter(metricTable.probes),
    canaries: counter(metricTable.canaries),
    engineReadings: counter(metricTable.engineReadings),
    decisionsDropped: counter(metricTable.decisionsDropped),
  };
}

function setBytes(counters: ReturnType<typeof createCounters>, connections: ConnectionBytes): void {
  const { received, sent } = connections.total();
  counters.bytes.reset();
  counters.bytes.inc({ direction: "in" }, received);
  counters.bytes.inc({ direction: "out" }, sent);
}

function setProbes(
  counters: ReturnType<typeof createCounters>,
  probed: ReadonlyMap<string, ProbeCounts>,
): void {
  counters.probes.reset();
  counters.canaries.reset();
  for (const [backend, { probes, probesFailed, canaries, canariesWrong }] of probed) {
    counters.probes.inc({ backend, outcome: "good" }, probes - probesFailed);
    counters.probes.inc({ backend, outcome: "failed" }, probesFailed);
    counters.canaries.inc({ backend, outcome: "right" }, canaries - canariesWrong);
    counters.canaries.inc({ backend, outcome: "wrong" }, canariesWrong);
  }
}

function setEngines(
  counters: ReturnType<typeof createCounters>,
  gauges: ReturnType<typeof createGauges>,
  engines: Readings["engines"],
): void {
  counters.engineReadings.reset();
  const { engineWaiting, engineRunning, engineKvUse } = gauges;
  for (const gauge of [engineWaiting, engineRunning, engineKvUse]) gauge.reset();
  for (const [backend, { counts, load }] of engines) {
    for (const [outcome, count] of Object.entries(counts)) {
      counters.engineReadings.inc({ backend, outcome }, count);
    }
    // What is not known is left out: 0 would be a word of the server's.
    if (load.waiting !== undefined) engineWaiting.set({ backend }, load.waiting);
    if (load.running !== undefined) engineRunning.set({ backend }, load.running);
    if (load.kvUse !== undefined) engineKvUse.set({ backend }, load.kvUse);
  }
}

function setPaths(
  counters: ReturnType<typeof createCounters>,
  gauges: ReturnType<typeof createGauges>,
  paths: Readings["paths"],
): void {
  counters.pathRequests.reset();
  gauges.pathWorking.reset();
  gauges.pathRoundTrip.reset();
  for (const [region, { counts, isWorking, rttMs }] of paths) {
    for (const [kind, { answered, failed }] of Object.entries(counts)) {
      counters.pathRequests.inc({ region, kind, outcome: "answered" }, answered);
      counters.pathRequests.inc({ region, kind, outcome: "failed" }, failed);
    }
    gauges.pathWorking.set({ region }, +isWorking);
    if (rttMs !== undefined) gauges.pathRoundTrip.set({ region }, rttMs / 1_000);
  }
}

/** Gauges tell what is so now, and the main thread alone knows that. */
function isCounted(metric: MetricJson): boolean {
  // prom-client's type says a number, its values are words.
  return String(metric.type) !== "gauge";
}

function createGauges(registry: Registry) {
  const gauge = <L extends string>(row: MetricRow & { readonly labels: readonly L[] }) =>
    new Gauge({ ...described(row), registers: [registry] });
  return {
    inFlight: gauge(metricTable.inFlight),
    heldNow: gauge(metricTable.heldNow),
    pathWorking: gauge(metricTable.pathWorking),
    pathRoundTrip: gauge(metricTable.pathRoundTrip),
    backendInFlight: gauge(metricTable.backendInFlight),
    backendAvailable: gauge(metricTable.backendAvailable),
    ejected: gauge(metricTable.ejected),
    backendVerdict: gauge(metricTable.backendVerdict),
    engineWaiting: gauge(metricTable.engineWaiting),
    engineRunning: gauge(metricTable.engineRunning),
    engineKvUse: gauge(metricTable.engineKvUse),
    canaryTokensPerDay: gauge(metricTable.canaryTokensPerDay),
    snapshotEpoch: gauge(metricTable.snapshotEpoch),
    snapshotSequence: gauge(metricTable.snapshotSequence),
    stateAge: gauge(metricTable.stateAge),
    controlConnected: gauge(metricTable.controlConnected),
    regionOpen: gauge(metricTable.regionOpen),
    ready: gauge(metricTable.ready),
  };
}

function described<L extends string>(row: MetricRow & { readonly labels: readonly L[] }) {
  return { name: row.name, help: row.help, labelNames: row.labels };
}

/** Labels come from the policy, never from a client's text, so that their number is bounded. */
function countExchange(
  counters: ReturnType<typeof createCounters>,
  ownRegion: string,
  exchange: FinishedExchange,
): void {
  const { arrivedFrom, ending, firstTokenMs, model, outcome, region, status } = exchange;
  const labels = { route: outcome?.route ?? "", model };
  counters.requests.inc({ ...labels, status: statusClass(status) });
  if (ending === "refused") counters.refusals.inc({ model, code: String(status) });
  if (ending === "broken") counters.brokenStreams.inc(labels);
  for (const { candidate, failure, outcome: end } of outcome?.attempts ?? []) {
    counters.attempts.inc({ target: candidate.name, outcome: end });
    if (failure?.kind === "region-refused") {
      counters.regionRefusals.inc({ region: candidate.region });
    }
  }
  if (arrivedFrom !== undefined) {
    counters.crossRegion.inc({ direction: "in", region: arrivedFrom });
  } else if (region !== "" && region !== ownRegion) {
    counters.crossRegion.inc({ direction: "out", region });
  }
  if (exchange.heldMs > 0) counters.held.observe(labels, exchange.heldMs / 1_000);
  counters.duration.observe(labels, exchange.durationMs / 1_000);
  if (firstTokenMs !== undefined) counters.firstToken.observe(labels, firstTokenMs / 1_000);
}

function statusClass(status: number): string {
  return status === 499 ? "499" : `${Math.floor(status / 100)}xx`;
}

/** As numbers, so that the least of a region can be asked for. */
const verdicts = { unhealthy: 0, degraded: 1, healthy: 2 } as const;

function setGauges(gauges: ReturnType<typeof createGauges>, readings: Readings): void {
  const { report, probed, status, controls } = readings;
  gauges.inFlight.set(report.liveRequests);
  gauges.heldNow.reset();
  for (const { model, held } of report.pools) gauges.heldNow.set({ model }, held);
  gauges.backendInFlight.reset();
  gauges.backendAvailable.reset();
  gauges.backendVerdict.reset();
  gauges.canaryTokensPerDay.reset();
  for (const { name, inFlight, available, told } of report.backends) {
    gauges.backendInFlight.set({ backend: name }, inFlight);
    gauges.backendAvailable.set({ backend: name }, available ? 1 : 0);
    if (told !== undefined) gauges.backendVerdict.set({ backend: name }, verdicts[told.verdict]);
  }
  for (const [backend, { canaryTokensPerDay }] of probed) {
    gauges.canaryTokensPerDay.set({ backend }, canaryTokensPerDay);
  }
  gauges.ejected.set(report.backends.filter((each) => each.ejected).length);
  gauges.snapshotEpoch.set(Number(status.held?.version?.epoch ?? 0n));
  gauges.snapshotSequence.set(Number(status.held?.version?.sequence ?? 0n));
  const { kind, ms } = status.stateAge;
  gauges.stateAge.set(kind === "none" ? Number.POSITIVE_INFINITY : ms / 1_000);
  for (const [control, isUsed] of controls) gauges.controlConnected.set({ control }, +isUsed);
  gauges.regionOpen.set(+readings.isOpen);
  gauges.ready.set(+readings.isReady);
}

/** Bytes of connections: those that ended, and those that are open now. */
class ConnectionBytes {
  readonly #open = new Set<{ readonly bytesRead: number; readonly bytesWritten: number }>();
  #received = 0;
  #sent = 0;

  watch(server: Server): void {
    server.on("connection", (socket) => {
      this.#open.add(socket);
      socket.on("close", () => {
        this.#open.delete(socket);
        this.#received += socket.bytesRead;
        this.#sent += socket.bytesWritten;
      });
    });
  }

  total(): { readonly received: number; readonly sent: number } {
    let received = this.#received;
    let sent = this.#sent;
    for (const socket of this.#open) {
      received += socket.bytesRead;
      sent += socket.bytesWritten;
    }
    return { received, sent };
  }
}
