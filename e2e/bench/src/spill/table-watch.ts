// Watches a region's row of the region table, as a control plane tells it in its metrics.

import type { Cluster } from "@meridian/harness";
import { pauseMs } from "../watch-cuts/settle.ts";

/** What a region may send to each other one, 0 to 1. */
export type Row = ReadonlyMap<string, number>;

export type Sighting = { readonly atMs: number; readonly row: Row };

const everyMs = 250;

/** One row, seen again and again until `stop`. */
export class TableWatch {
  readonly #sightings: Sighting[] = [];
  readonly #url: string;
  readonly #series: { readonly region: string; readonly model: string };
  #isOver = false;
  readonly #done: Promise<void>;

  /** By the control plane of the region itself, or the one that serves all. */
  constructor(cluster: Cluster, series: { readonly region: string; readonly model: string }) {
    const { controlPlanes } = cluster.topology;
    const plan = controlPlanes.find((each) => each.region === series.region) ?? controlPlanes[0];
    this.#url = `http://127.0.0.1:${plan?.opsPort}/metrics`;
    this.#series = series;
    this.#done = this.#look();
  }

  async stop(): Promise<readonly Sighting[]> {
    this.#isOver = true;
    await this.#done;
    return this.#sightings;
  }

  async #look(): Promise<void> {
    while (!this.#isOver) {
      const text = await (await fetch(this.#url)).text();
      this.#sightings.push({ atMs: performance.now(), row: rowIn(text, this.#series) });
      await pauseMs(everyMs);
    }
  }
}

/** Empty: nothing is bound. */
export function rowIn(
  metrics: string,
  { region, model }: { readonly region: string; readonly model: string },
): Row {
  const row = new Map<string, number>();
  for (const line of metrics.split("\n")) {
    if (!line.startsWith("meridian_control_outflow_share{")) continue;
    if (!line.includes(`region="${region}"`) || !line.includes(`model="${model}"`)) continue;
    const to = /,to="([^"]*)"|\{to="([^"]*)"/.exec(line);
    row.set(to?.[1] ?? to?.[2] ?? "", Number(line.slice(line.lastIndexOf(" ") + 1)));
  }
  return row;
}

/**
 * The largest part of a region's demand that the table moved within one second: away from home, or between two others. The
 * table is made once a second; of two sightings that lie further apart each second may have moved its part.
 */
export function fastestMove(sightings: readonly Sighting[]): number {
  let most = 0;
  for (const [index, { atMs, row }] of sightings.entries()) {
    const before = sightings[index - 1];
    // A row that comes or goes binds or frees: that moves nothing.
    if (before === undefined || before.row.size === 0 || row.size === 0) continue;
    const steps = Math.floor((atMs - before.atMs) / 1_000) + 1;
    most = Math.max(most, moved(before.row, row) / steps);
  }
  return most;
}

/** What went away from home, and what came to some other region from any. */
function moved(before: Row, after: Row): number {
  let away = 0;
  let come = 0;
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    const change = (after.get(name) ?? 0) - (before.get(name) ?? 0);
    away += change;
    come += Math.max(0, change);
  }
  return Math.max(come, away);
}
