// The course of one run: half of what the hot region can do, three times as much, half again; the others lightly loaded
// all the while.

import type { Cluster } from "@meridian/harness";
import { sumOf } from "../soak/books.ts";
import { pauseMs } from "../watch-cuts/settle.ts";
import { type Asked, drive } from "./demand.ts";
import { hotRegion, policyWith, size } from "./scene.ts";
import { type Sighting, TableWatch } from "./table-watch.ts";

/** Whether the policy says what the backends can do, or it must be found out. */
export type Knowledge = "declared" | "learned";

export type RunOptions = {
  readonly knowledge: Knowledge;
  /** Requests a second of one backend. */
  readonly backendRate: number;
  readonly seconds: { readonly half: number; readonly over: number; readonly after: number };
  readonly patienceMs: number;
  readonly seed: string;
  readonly note: (line: string) => void;
};

export type Run = {
  readonly options: RunOptions;
  readonly asked: readonly Asked[];
  readonly sightings: readonly Sighting[];
  readonly counts: Counts;
};

/** Of all proxies, for the arm that may spill, while the run lasted. */
export type Counts = {
  /** By another region, on arrival. */
  readonly regionRefusals: number;
  /** To clients. */
  readonly refusals: number;
};

export const overload = 3;
export const half = 0.5;
/** Each other region's, as a share of what its backends can do. */
export const light = 0.25;
const othersBackends = 2;

export async function run(cluster: Cluster, options: RunOptions): Promise<Run> {
  const { backendRate, knowledge, seconds, note } = options;
  const tokensPerMinute = Math.round(backendRate * 60 * (size.promptTokens + size.outputTokens));
  const declared = knowledge === "declared" ? tokensPerMinute : undefined;
  const applied = await cluster.apply(policyWith(cluster.policy, declared));
  if (applied.code !== 0) throw new Error(`the policy was refused: ${applied.stderr}`);
  // The queue of what measured the backends is gone, and every proxy has the policy.
  await pauseMs(3_000);
  note(`${knowledge} capacity: ${half} ×, ${overload} ×, ${half} × of what ${hotRegion} can do`);
  const before = await countsOf(cluster);
  const watch = new TableWatch(cluster, { region: hotRegion, model: "spilling" });
  const asked = await drive(cluster, {
    phases: [
      { name: "half", seconds: seconds.half, hot: half * backendRate },
      { name: "over", seconds: seconds.over, hot: overload * backendRate },
      { name: "after", seconds: seconds.after, hot: half * backendRate },
    ],
    light: light * othersBackends * backendRate,
    patienceMs: options.patienceMs,
    seed: options.seed,
  });
  const sightings = await watch.stop();
  const after = await countsOf(cluster);
  return {
    options,
    asked,
    sightings,
    counts: {
      regionRefusals: after.regionRefusals - before.regionRefusals,
      refusals: after.refusals - before.refusals,
    },
  };
}

async function countsOf({ topology }: Cluster): Promise<Counts> {
  const plans = topology.regions.flatMap((each) => each.proxies);
  const texts = await Promise.all(
    plans.map(async (plan) => (await fetch(`http://127.0.0.1:${plan.opsPort}/metrics`)).text()),
  );
  const total = (name: string, labels: { readonly [label: string]: string }) =>
    texts.reduce((sum, text) => sum + sumOf(text, name, labels), 0);
  return {
    regionRefusals: total("meridian_region_refusals_total", {}),
    refusals: total("meridian_refusals_total", { model: "spilling" }),
  };
}
