// The parts of a control plane, wired: store → reconciler → lanes to proxies, and the admin service beside them.

import { readFileSync } from "node:fs";
import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import {
  createProxies,
  type Proxies,
  RegionLoads,
  type StateSource,
} from "@meridian/control-core/fleet";
import { type Clock, formatProblem, type Random } from "@meridian/proto/base";
import { formatVersion } from "@meridian/proto/snapshot";
import type { Logger } from "pino";
import { adminService } from "./admin/admin-service.ts";
import { createAudit } from "./admin/audit.ts";
import { BackendExplanations } from "./admin/backend-explanations.ts";
import { DrainOrders } from "./admin/drain-orders.ts";
import { Explanations } from "./admin/explanations.ts";
import { Peers } from "./admin/peers.ts";
import { Policies } from "./admin/policies.ts";
import { startPolicyChecker } from "./policy/policy-checker.ts";
import { PolicyStore } from "./policy/policy-store.ts";
import { Reconciler } from "./reconciler.ts";
import { HealthJudge } from "./region/health-judge.ts";
import { RegionView } from "./region/region-view.ts";
import { RegionWriter } from "./region/region-writer.ts";
import { Registration, readControlPlanes } from "./region/registration.ts";
import { TableKeeper } from "./region/table-keeper.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store/store.ts";
import { PolicyLane, type PolicyLaneNotes } from "./sync/policy-lane.ts";
import { QuestionLane } from "./sync/question-lane.ts";
import { ReportLane } from "./sync/report-lane.ts";
import { StateLane } from "./sync/state-lane.ts";
import { syncService } from "./sync/sync-service.ts";
import type { ControlMetrics, Readings } from "./telemetry.ts";
import type { TlsFiles } from "./tls.ts";

export type ControlPlaneParts = {
  readonly settings: Settings;
  readonly tls: TlsFiles;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: ControlMetrics;
};

export type ControlPlane = {
  readonly sync: UntypedServiceImplementation;
  readonly admin: UntypedServiceImplementation;
  /** undefined: ready. Else what is still missing. */
  readonly notReady: () => string | undefined;
  readonly readings: () => Readings;
  /** Settles when the store has been read; without a store it waits. */
  readonly ready: () => Promise<void>;
  /** From now on others may find this control plane at an address. */
  readonly register: (address: string) => void;
  readonly close: () => Promise<void>;
};

export const build = readBuild();

export function createControlPlane(parts: ControlPlaneParts): ControlPlane {
  const { settings, store, clock, random } = parts;
  const serving = startServing(parts);
  const { reconciler, policyLane, stateLane, reportLane, questionLane, judge } = serving;
  const { table, writer } = serving;
  const peers = new Peers(parts.tls, clock);
  let registration: Registration | undefined;
  return {
    sync: syncService({
      policy: policyLane,
      state: stateLane,
      report: reportLane,
      questions: questionLane,
    }),
    admin: createAdmin(parts, serving, peers),
    notReady: () => (reconciler.isReady ? undefined : "the store has not been read yet"),
    ready: () => reconciler.ready(),
    readings: () => ({
      version: reconciler.published?.version,
      storeReachable: reconciler.isReachable(),
      streams: {
        policy: policyLane.streams,
        state: stateLane.streams,
        report: reportLane.streams,
        questions: questionLane.streams,
      },
      fullPushes: policyLane.pacing,
      regions: table.readings(),
    }),
    register: (address) => {
      const { id, region } = settings;
      const row = { id, region, address, build };
      registration = new Registration(store, row, random.fork("registration"));
    },
    close: async () => {
      for (const lane of [policyLane, stateLane, reportLane, questionLane]) lane.close();
      judge.close();
      table.close();
      peers.close();
      await Promise.all([registration?.close(), writer.close()]);
      reconciler.close();
      await serving.checker.close();
    },
  };
}

type Serving = ReturnType<typeof startServing>;

/** What proxies are served by: the reconciler feeds the lanes, whatever else goes on. */
function startServing(parts: ControlPlaneParts) {
  const { store, clock, random, logger, metrics } = parts;
  const checker = startPolicyChecker();
  const proxies = createProxies();
  const loads = new RegionLoads();
  const view = new RegionView(clock, (problem) => {
    metrics.badRow();
    logger.warn({ problem }, `a row of the store is passed over: ${formatProblem(problem)}`);
  });
  const policyLane = new PolicyLane({ proxies, clock, notes: policyNotes(logger, metrics) });
  const questionLane = new QuestionLane();
  const judge = startJudge(parts, view, () => stateLane.kick());
  const { health } = judge;
  const reportLane = new ReportLane({
    proxies,
    health,
    loads,
    clock,
    noteReport: metrics.reported,
  });
  const stateLane: StateLane = new StateLane({
    clock,
    storeReachable: () => reconciler.isReachable(),
    source: () =>
      stateSource(reconciler, view, {
        judged: (name) => health.backend(name, clock.now()),
        outflows: (home) => table.outflows(home),
      }),
    notes: { sent: metrics.framesSent, skipped: metrics.frameSkipped },
  });
  const reconciler: Reconciler = new Reconciler({
    store,
    checker,
    clock,
    random: random.fork("mirrors"),
    onPublished: (published) => {
      logger.info({ version: formatVersion(published.version) }, "policy published");
      view.keep(new Set(published.policy.regions.map((each) => each.name)));
      health.arrange(published.policy);
      loads.arrange(published.policy);
      policyLane.publish(published);
      stateLane.kick();
    },
    onRefused: (problems) => {
      metrics.policyRefused();
      logger.error({ problems }, "the store's policy is not fit to serve; the last good one is");
    },
    onRuntime: (changes) => {
      if (view.takeRuntime(changes, !reconciler.isReady)) stateLane.kick();
    },
    onControl: (changes) => {
      if (view.takeControl(changes)) stateLane.kick();
    },
    onReachable: (reachable) => {
      logger[reachable ? "info" : "warn"]({ reachable }, "the store's reach changed");
      stateLane.kick();
    },
  });
  const writer = startWriter(parts, { proxies, loads, view, judge, reconciler });
  const table: TableKeeper = new TableKeeper({
    clock,
    policy: () => reconciler.published?.policy,
    signs: view.signs,
    drains: () => view.drains(),
    ownDigest: (region) => writer.newest(region),
    storeReachable: () => reconciler.isReachable(),
  });
  return {
    checker,
    proxies,
    loads,
    view,
    judge,
    table,
    writer,
    policyLane,
    stateLane,
    reportLane,
    questionLane,
    reconciler,
  };
}

function startJudge(
  { clock, logger, metrics }: ControlPlaneParts,
  view: RegionView,
  changed: () => void,
): HealthJudge {
  return new HealthJudge({
    clock,
    recall: (region) => view.signs.digest(region)?.verdicts,
    onChange: (changes) => {
      for (const { name, verdict, reason } of changes) {
        metrics.verdictChanged(verdict);
        logger.warn({ backend: name, verdict, reason }, "the verdict on a backend changed");
      }
      changed();
    },
  });
}

function stateSource(
  reconciler: Reconciler,
  view: RegionView,
  told: Pick<StateSource, "judged" | "outflows">,
): StateSource | undefined {
  const { published } = reconciler;
  if (published === undefined) return undefined;
  return {
    policy: published.policy,
    version: published.version,
    signs: view.signs,
    drains: view.drains(),
    ...told,
    storeReachable: reconciler.isReachable(),
  };
}

type WriterSources = {
  readonly proxies: Proxies;
  readonly loads: RegionLoads;
  readonly view: RegionView;
  readonly judge: HealthJudge;
  readonly reconciler: Reconciler;
};

function startWriter(
  parts: ControlPlaneParts,
  { proxies, loads, view, judge, reconciler }: WriterSources,
): RegionWriter {
  const { settings, store, clock, logger, metrics } = parts;
  return new RegionWriter({
    store,
    clock,
    id: settings.id,
    regions: settings.servesRegions,
    proxies,
    view,
    health: judge.health,
    loads,
    published: () => reconciler.published,
    noteWrite: noteWrites(logger, metrics),
  });
}

function createAdmin(
  { settings, store, clock, random, logger, metrics }: ControlPlaneParts,
  serving: Serving,
  peers: Peers,
): UntypedServiceImplementation {
  const { id, region } = settings;
  const { checker, proxies, view, judge, reconciler, questionLane } = serving;
  const { health } = judge;
  const audit = createAudit((line, message) => logger.info(line, message));
  const rows = reconciler.policyRows;
  const published = () => reconciler.published;
  const storeReachable = () => reconciler.isReachable();
  const others = () =>
    readControlPlanes(reconciler.controlPlaneRows).filter((each) => each.id !== id);
  return adminService({
    calls: {
      clock,
      noteCall: metrics.adminCall,
      noteFailure: (path, cause) => logger.error({ path, err: cause }, "a call failed"),
    },
    policies: new Policies({
      checker,
      store: new PolicyStore({ store, rows, clock, random: random.fork("policies") }),
      rows: () => rows.entries(),
      served: () => published()?.version,
      audit,
    }),
    drains: new DrainOrders({ store, clock, view, published, audit }),
    local: { ...serving, id, region, build, clock, health, published, storeReachable },
    explanations: new Explanations({ clock, proxies, questions: questionLane, peers, others }),
    backendExplanations: new BackendExplanations({
      id,
      clock,
      health,
      signs: view.signs,
      published,
      peers,
      others,
    }),
    peers,
    others,
  });
}

function policyNotes(logger: Logger, metrics: ControlMetrics): PolicyLaneNotes {
  return {
    pushed: metrics.pushed,
    acked: (node, ms) => {
      metrics.answered("ack");
      metrics.ackedAfter(ms);
      logger.debug({ proxy: node.id, region: node.region, ms }, "push acknowledged");
    },
    nacked: (node, version, problems) => {
      metrics.answered("nack");
      logger.warn(
        { proxy: node.id, region: node.region, version, problems },
        "push refused by a proxy",
      );
    },
    closed: (node, reason) => {
      metrics.answered("none");
      logger.warn({ proxy: node?.id, region: node?.region, reason }, "policy stream closed");
    },
  };
}

/** Tells when writing begins to fail and when it works again, not every failure between. */
function noteWrites(
  logger: Logger,
  metrics: ControlMetrics,
): (failure: string | undefined) => void {
  let isFailing = false;
  return (failure) => {
    metrics.storeWrite(failure === undefined);
    if (isFailing === (failure !== undefined)) return;
    isFailing = failure !== undefined;
    if (isFailing) logger.warn({ failure }, "heartbeats and digests can't be written");
    else logger.info("heartbeats and digests are written again");
  };
}

function readBuild(): string {
  const file = new URL("../package.json", import.meta.url);
  const json: unknown = JSON.parse(readFileSync(file, "utf8"));
  const hasVersion = typeof json === "object" && json !== null && "version" in json;
  return hasVersion ? String(json.version) : "unknown";
}
