// What the control plane tells about itself: log lines on stderr and metrics. Neither carries documents, keys or secrets.

import { setLogger, status } from "@grpc/grpc-js";
import type { WatchState } from "@meridian/control-core/watch";
import type { Version } from "@meridian/proto/gen/snapshot_pb";
import type { HealthVerdict } from "@meridian/proto/health";
import { type Logger, pino } from "pino";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { type MetricRow, metricTable } from "./metric-table.ts";
import type { TableReadings } from "./region/table-keeper.ts";

/** Values that are read when somebody asks for the metrics. */
export type Readings = {
  readonly version: Version | undefined;
  readonly storeReachable: boolean;
  readonly streams: {
    readonly policy: number;
    readonly state: number;
    readonly report: number;
    readonly questions: number;
  };
  readonly fullPushes: { readonly underWay: number; readonly waiting: number };
  readonly regions: TableReadings;
};

export type ControlMetrics = {
  readonly policyRefused: () => void;
  readonly badRow: () => void;
  readonly watchState: (prefix: string, state: WatchState) => void;
  readonly storeWrite: (ok: boolean) => void;
  readonly pushed: (bytes: number, isWhole: boolean) => void;
  readonly answered: (answer: "ack" | "nack" | "none") => void;
  readonly ackedAfter: (ms: number) => void;
  readonly framesSent: (count: number) => void;
  readonly frameSkipped: () => void;
  readonly reported: () => void;
  readonly verdictChanged: (verdict: HealthVerdict) => void;
  readonly adminCall: (path: string, code: status, ms: number) => void;
  readonly expose: (readings: Readings) => Promise<string>;
  readonly contentType: string;
};

export function createLogger(options: {
  readonly level: string;
  readonly id: string;
  readonly region: string;
}): Logger {
  const { level, id, region } = options;
  const base = { program: id, region };
  const logger = pino({ level, base }, pino.destination({ dest: 2, sync: false }));
  // grpc-js writes lines of its own to stderr; what matters of them is told by us, with what to do.
  const note = (...parts: readonly unknown[]) => logger.debug({ grpc: parts.join(" ") }, "grpc");
  setLogger({ error: note, info: note, debug: note });
  return logger;
}

const durationBuckets = [0.002, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30];
const watchStates: readonly WatchState[] = ["live", "rebuilding", "stale"];

export function createMetrics(): ControlMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counters = createCounters(registry);
  const gauges = createGauges(registry);
  return {
    policyRefused: () => counters.policiesRefused.inc(),
    badRow: () => counters.badRows.inc(),
    watchState: (prefix, state) => {
      for (const each of watchStates) {
        gauges.watchState.set({ prefix, state: each }, each === state ? 1 : 0);
      }
    },
    storeWrite: (ok) => counters.storeWrites.inc({ outcome: ok ? "ok" : "failed" }),
    pushed: (bytes, isWhole) => {
      counters.pushes.inc({ kind: isWhole ? "full" : "delta" });
      counters.pushBytes.inc(bytes);
    },
    answered: (answer) => counters.answers.inc({ answer }),
    ackedAfter: (ms) => counters.answerSeconds.observe(ms / 1_000),
    framesSent: (count) => counters.stateFrames.inc({ outcome: "sent" }, count),
    frameSkipped: () => counters.stateFrames.inc({ outcome: "skipped" }),
    reported: () => counters.reports.inc(),
    verdictChanged: (verdict) => counters.verdicts.inc({ verdict }),
    adminCall: (path, code, ms) => {
      const method = path.slice(path.lastIndexOf("/") + 1);
      counters.adminCalls.inc({ method, code: status[code] });
      counters.adminSeconds.observe({ method }, ms / 1_000);
    },
    expose: (readings) => {
      setGauges(gauges, readings);
      return registry.metrics();
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
    policiesRefused: counter(metricTable.policiesRefused),
    badRows: counter(metricTable.badRows),
    storeWrites: counter(metricTable.storeWrites),
    pushes: counter(metricTable.pushes),
    pushBytes: counter(metricTable.pushBytes),
    answers: counter(metricTable.answers),
    answerSeconds: histogram(metricTable.answerSeconds),
    stateFrames: counter(metricTable.stateFrames),
    reports: counter(metricTable.reports),
    verdicts: counter(metricTable.verdicts),
    adminCalls: counter(metricTable.adminCalls),
    adminSeconds: histogram(metricTable.adminSeconds),
  };
}

function createGauges(registry: Registry) {
  const gauge = <L extends string>(row: MetricRow & { readonly labels: readonly L[] }) =>
    new Gauge({ ...described(row), registers: [registry] });
  return {
    policyEpoch: gauge(metricTable.policyEpoch),
    policySequence: gauge(metricTable.policySequence),
    storeReachable: gauge(metricTable.storeReachable),
    watchState: gauge(metricTable.watchState),
    streams: gauge(metricTable.streams),
    fullPushes: gauge(metricTable.fullPushes),
    poolCapacity: gauge(metricTable.poolCapacity),
    poolDemand: gauge(metricTable.poolDemand),
    poolPending: gauge(metricTable.poolPending),
    outflowShare: gauge(metricTable.outflowShare),
    modelSpare: gauge(metricTable.modelSpare),
  };
}

function described<L extends string>(row: MetricRow & { readonly labels: readonly L[] }) {
  return { name: row.name, help: row.help, labelNames: row.labels };
}

function setGauges(gauges: ReturnType<typeof createGauges>, readings: Readings): void {
  gauges.policyEpoch.set(Number(readings.version?.epoch ?? 0n));
  gauges.policySequence.set(Number(readings.version?.sequence ?? 0n));
  gauges.storeReachable.set(readings.storeReachable ? 1 : 0);
  for (const lane of ["policy", "state", "report", "questions"] as const) {
    gauges.streams.set({ lane }, readings.streams[lane]);
  }
  gauges.fullPushes.set({ state: "under_way" }, readings.fullPushes.underWay);
  gauges.fullPushes.set({ state: "waiting" }, readings.fullPushes.waiting);
  setTableGauges(gauges, readings.regions);
}

/** What is not known any more must not be shown as it last was. */
function setTableGauges(gauges: ReturnType<typeof createGauges>, table: TableReadings): void {
  const { poolCapacity, poolDemand, poolPending, outflowShare, modelSpare } = gauges;
  for (const each of [poolCapacity, poolDemand, poolPending, outflowShare, modelSpare])
    each.reset();
  for (const { region, model, capacity, demand, pending } of table.pools) {
    if (capacity !== undefined) poolCapacity.set({ region, model }, capacity);
    poolDemand.set({ region, model }, demand);
    poolPending.set({ region, model }, pending);
  }
  for (const { home, region, model, share } of table.outflows) {
    outflowShare.set({ region: home, to: region, model }, share);
  }
  for (const { model, spareWithoutLargest } of table.models) {
    if (spareWithoutLargest !== undefined) modelSpare.set({ model }, spareWithoutLargest);
  }
}
