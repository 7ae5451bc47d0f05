// Faults met by real programs: several pools beside each other, in each the runs of one fault in turn, then what concerns
// the whole region.

import { setTimeout as pause } from "node:timers/promises";
import { type Admin, openAdmin } from "../../policy/admin.ts";
import { type FaultRun, type RunEnd, runFault, type Watch } from "./fault-run.ts";
import {
  halfFailing,
  hardKill,
  type RealFault,
  tenthFailing,
  threeTimesSlower,
  wrongAnswers,
} from "./faults.ts";
import { type ClientError, Load, type PoolLoad } from "./load.ts";
import { ProxyEvents } from "./proxy-events.ts";
import { poolNamed, type Scene, startScene } from "./scene.ts";
import { slowWholePool, type WholePoolRun } from "./whole-pool.ts";
import { loseControl, type WithoutControlRun } from "./without-control.ts";

export type RealRuns = {
  readonly fleet: number;
  readonly faults: readonly { readonly fault: RealFault; readonly runs: readonly FaultRun[] }[];
  /** undefined in the short form. */
  readonly wholePool: WholePoolRun | undefined;
  readonly withoutControl: WithoutControlRun | undefined;
  /** Of the whole time and all pools. */
  readonly requests: number;
  readonly errors: readonly ClientError[];
};

export type RealRunsOptions = {
  readonly isShort: boolean;
  /** Hears of each run as it ends. */
  readonly note: (line: string) => void;
};

/** A backend of a pool gets so many requests a second, by both proxies together. */
const perBackend = 10;
const runsOfEach = 5;
/** Until each proxy has seen what is usual of a first token: 50 of them, and that of programs that run for a while. */
const warmUpMs = { short: 25_000, full: 60_000 } as const;
const poolSlowMs = 45_000;

/** What is waited for before the next run: failures and slowness take a whole share to be seen alike. */
const plan: readonly { readonly fault: RealFault; readonly end: RunEnd }[] = [
  { fault: hardKill, end: "whole" },
  { fault: halfFailing, end: "whole" },
  { fault: tenthFailing, end: "whole" },
  { fault: threeTimesSlower, end: "whole" },
  { fault: wrongAnswers, end: "let-in" },
];
const shortPlan: typeof plan = [
  { fault: hardKill, end: "noticed" },
  { fault: halfFailing, end: "noticed" },
  { fault: { ...threeTimesSlower, lastsMs: 6_000 }, end: "noticed" },
];

export async function realRuns({ isShort, note }: RealRunsOptions): Promise<RealRuns> {
  const planned = isShort ? shortPlan : plan;
  const scene = await startScene(planned.map((each) => each.fault.model));
  const { MERIDIAN_SERVER, MERIDIAN_TLS_DIR } = scene.cluster.operatorEnvironment();
  const admin = openAdmin(MERIDIAN_SERVER, MERIDIAN_TLS_DIR);
  const load = new Load();
  try {
    return await runAll({ scene, admin, load, note }, planned, isShort);
  } finally {
    await load.stop();
    admin.close();
    await scene.stop();
  }
}

type Parts = {
  readonly scene: Scene;
  readonly admin: Admin;
  readonly load: Load;
  readonly note: (line: string) => void;
};

async function runAll(parts: Parts, planned: typeof plan, isShort: boolean): Promise<RealRuns> {
  const { scene, load } = parts;
  const events = new ProxyEvents(scene.cluster);
  const from = Date.now();
  const loads = new Map<string, PoolLoad>();
  for (const { fault } of planned) {
    const { model, backends } = poolNamed(scene, fault.model);
    loads.set(model, load.start(scene.endpoints, model, perBackend * backends.length));
  }
  const watchOf = ({ model }: RealFault): Watch => {
    const ofPool = loads.get(model);
    if (ofPool === undefined) throw new Error(`nobody asks ${model}`);
    return { admin: parts.admin, events, load: ofPool };
  };
  await pause(isShort ? warmUpMs.short : warmUpMs.full);
  const lanes = await Promise.all(
    planned.map(async ({ fault, end }) => {
      const watch = watchOf(fault);
      const runs = await runsOf({ fault, end }, watch, parts, isShort ? 1 : runsOfEach);
      const hasWholePool = !isShort && fault.model === threeTimesSlower.model;
      const pool = poolNamed(scene, fault.model);
      const wholePool = hasWholePool ? await slowWholePool(pool, watch, poolSlowMs) : undefined;
      return { fault, runs, wholePool };
    }),
  );
  const withoutControl = isShort
    ? undefined
    : await loseControl({
        cluster: scene.cluster,
        pool: poolNamed(scene, hardKill.model),
        events,
        load: watchOf(hardKill).load,
      });
  return {
    fleet: scene.fleet,
    faults: lanes,
    wholePool: lanes.map((each) => each.wholePool).find((each) => each !== undefined),
    withoutControl,
    requests: [...loads.values()].reduce((sum, each) => sum + each.sent(), 0),
    errors: [...loads.values()].flatMap((each) => each.errors(from, Date.now())),
  };
}

/** Each run has another backend of the pool, in turn. */
async function runsOf(
  { fault, end }: (typeof plan)[number],
  watch: Watch,
  { scene, note }: Parts,
  count: number,
): Promise<readonly FaultRun[]> {
  const { backends } = poolNamed(scene, fault.model);
  const runs: FaultRun[] = [];
  for (let number = 0; number < count; number++) {
    const backend = backends[number % backends.length];
    if (backend === undefined) throw new Error(`${fault.model} has no backends`);
    const run = await runFault(fault, backend, watch, end);
    note(describe(fault, run, number + 1));
    runs.push(run);
  }
  return runs;
}

function describe({ name }: RealFault, run: FaultRun, number: number): string {
  const { ejectedMs, degradedMs, unhealthyMs, letInMs, wholeMs } = run;
  const parts = [
    ejectedMs.length === 0 ? "" : `ejected by proxies after ${ejectedMs.join(" and ")} ms`,
    msOf("degraded or worse after", degradedMs),
    msOf("unhealthy after", unhealthyMs),
    msOf("let in after", letInMs),
    msOf("whole after", wholeMs),
    `${run.requests} requests, ${run.errors.length} errors`,
    run.reason,
  ];
  return `${name} ${number}: ${parts.filter((each) => each !== "").join("; ")}`;
}

function msOf(what: string, ms: number): string {
  return Number.isNaN(ms) ? "" : `${what} ${Math.round(ms)} ms`;
}
