// All backends of one pool become slow at the same moment: the pool is degraded, and nobody is taken out.

import { setTimeout as pause } from "node:timers/promises";
import { changesSince, untilWhole, type Watch } from "./fault-run.ts";
import { threeTimesSlower } from "./faults.ts";
import type { ClientError } from "./load.ts";
import type { ScenePool } from "./scene.ts";

export type WholePoolRun = {
  readonly backends: number;
  /** From the fault on, for each backend that was degraded. */
  readonly degradedMs: readonly number[];
  /** Backends that were taken out, by the verdict or by any proxy. */
  readonly ejected: number;
  readonly requests: number;
  readonly errors: readonly ClientError[];
};

export async function slowWholePool(
  { backends }: ScenePool,
  watch: Watch,
  lastsMs: number,
): Promise<WholePoolRun> {
  const { admin, events, load } = watch;
  for (const each of backends) await untilWhole(admin, each.name);
  const sent = load.sent();
  const from = Date.now();
  await Promise.all(backends.map((each) => threeTimesSlower.inject(each)));
  await pause(lastsMs);
  const reports = await Promise.all(backends.map(({ name }) => admin.explainBackend(name)));
  const ejections = events.since(from, (event) => {
    return event.kind === "ejected" && backends.some((each) => each.name === event.backend);
  });
  const run = {
    backends: backends.length,
    degradedMs: reports.flatMap((report) => {
      const change = changesSince(report, from).find((each) => each.verdict === "degraded");
      return change === undefined ? [] : [change.at - from];
    }),
    ejected:
      ejections.length +
      reports.filter((report) =>
        changesSince(report, from).some((each) => each.verdict === "unhealthy"),
      ).length,
    requests: load.sent() - sent,
    errors: load.errors(from, Date.now()),
  };
  await Promise.all(backends.map((each) => threeTimesSlower.heal(each)));
  return run;
}
