// The figures of a spill run beside their bars.

import type { Figure } from "../report/figures.ts";
import { quantile } from "../report/quantile.ts";
import type { Asked, PhaseName } from "./demand.ts";
import { overload, type Run } from "./run.ts";
import { type Arm, hotRegion } from "./scene.ts";
import { fastestMove } from "./table-watch.ts";

/** A region's own clients fill it so far by the region table (docs/choosing.md). */
const fullShare = 0.85;
/** Of the hot region's requests, beside what arithmetic says: arrivals are random, and the table's demand is a mean. */
const tolerance = 0.05;

export type FigureOptions = {
  /** Of the overload: what comes before is the change, in which the table still moves. */
  readonly settledAfterSeconds: number;
};

export function spillFigures(run: Run, options: FigureOptions): readonly Figure[] {
  const { asked } = run;
  const hot = (arm: Arm, phase: PhaseName) =>
    asked.filter((each) => each.region === hotRegion && each.arm === arm && each.phase === phase);
  const over = hot("spilling", "over");
  const { settledAfterSeconds: from } = options;
  const settled = over.filter((each) => each.atSeconds >= from);
  const stuck = hot("staying", "over").filter((each) => each.atSeconds >= from);
  return [
    ...shareFigures(run, { settled, over, from }),
    share("half: share sent away", hot("spilling", "half"), 0),
    share("after: share sent away", hot("spilling", "after"), 0),
    ...failureFigures(asked),
    ...timeFigures("over, all", over, hot("staying", "over")),
    ...timeFigures("over, settled", settled, stuck),
    ...waitFigures(run, over),
    {
      name: "table: moved in one second",
      value: fastestMove(run.sightings),
      unit: "",
      atMost: 0.21,
    },
    ...neighbourFigures("over, all", neighbours(asked, 0)),
    ...neighbourFigures("over, settled", neighbours(asked, from)),
  ];
}

/** What must leave is what the region cannot do; what may is what is beyond the share to which the table fills it. */
function shareFigures(
  { options }: Run,
  of: {
    readonly settled: readonly Asked[];
    readonly over: readonly Asked[];
    readonly from: number;
  },
): readonly Figure[] {
  const seconds = options.seconds.over - of.from;
  const load = of.settled.length / seconds / options.backendRate;
  return [
    { name: "capacity of the hot region", value: options.backendRate, unit: "requests/s" },
    { name: "over: demand, in capacities", value: load, unit: `(meant: ${overload})` },
    {
      name: "over, settled: share spilled",
      value: awayShare(of.settled),
      unit: "",
      atLeast: 1 - 1 / load - tolerance,
      atMost: 1 - fullShare / load + tolerance,
    },
    { name: "over, all: share spilled", value: awayShare(of.over), unit: "" },
    {
      name: "over, settled: share to the nearest region",
      value: shareOf(of.settled, (each) => answeredBy(each) === "eu-west"),
      unit: "",
    },
  ];
}

function failureFigures(asked: readonly Asked[]): readonly Figure[] {
  const spilling = asked.filter((each) => each.arm === "spilling");
  const staying = asked.filter((each) => each.arm === "staying" && each.region === hotRegion);
  return [
    { name: "requests that may spill", value: spilling.length, unit: "" },
    { name: "of them failed", value: spilling.filter(isLost).length, unit: "", atMost: 0 },
    {
      name: "without spill: clients that left or failed",
      value: shareOf(staying, isLost),
      unit: "",
    },
  ];
}

function timeFigures(
  when: string,
  spilling: readonly Asked[],
  staying: readonly Asked[],
): readonly Figure[] {
  const kept = spilling.filter((each) => answeredBy(each) === hotRegion).map(firstTokenMs);
  const sent = spilling.filter((each) => isAway(each)).map(firstTokenMs);
  const [with50, with99] = halves(spilling);
  const [without50, without99] = halves(staying);
  return [
    { name: `${when}: first token p50, with spill`, value: with50, unit: "ms" },
    { name: `${when}: first token p50, without`, value: without50, unit: "ms" },
    { name: `${when}: first token p99, with spill`, value: with99, unit: "ms" },
    { name: `${when}: first token p99, without`, value: without99, unit: "ms" },
    {
      name: `${when}: p99 with spill / without`,
      value: with99 / without99,
      unit: "",
      atMost: 0.25,
    },
    { name: `${when}: first token p99 of those kept`, value: quantile(kept, 0.99), unit: "ms" },
    { name: `${when}: first token p99 of those sent`, value: quantile(sent, 0.99), unit: "ms" },
  ];
}

function waitFigures({ counts, asked }: Run, over: readonly Asked[]): readonly Figure[] {
  const held = over.map(heldMs).filter((each) => each > 0);
  const spilled = asked.filter((each) => each.arm === "spilling" && isAway(each)).length;
  return [
    { name: "over: share held", value: held.length / over.length, unit: "" },
    { name: "over: held p50", value: quantile(held, 0.5), unit: "ms" },
    { name: "over: held p99", value: quantile(held, 0.99), unit: "ms", atMost: 2_100 },
    { name: "refused on arrival", value: counts.regionRefusals, unit: "calls" },
    { name: "refused on arrival / spilled", value: counts.regionRefusals / spilled, unit: "" },
    { name: "refused to clients", value: counts.refusals, unit: "requests", atMost: 0 },
  ];
}

/** The other regions' own clients, during the overload. */
function neighbours(asked: readonly Asked[], from: number): readonly Asked[] {
  return asked.filter(
    (each) => each.region !== hotRegion && each.phase === "over" && each.atSeconds >= from,
  );
}

/** Beside those of the model of which nothing comes from the hot region. */
function neighbourFigures(when: string, all: readonly Asked[]): readonly Figure[] {
  const own = all.filter((each) => each.arm === "spilling");
  const [shared50, shared99] = halves(own);
  const [alone50, alone99] = halves(all.filter((each) => each.arm === "staying"));
  // While it settles the table has not yet seen what there is to move.
  const isJudged = when.includes("settled");
  return [
    { name: `neighbours, ${when}: first token p50`, value: shared50, unit: "ms" },
    { name: `neighbours, ${when}: first token p50, alone`, value: alone50, unit: "ms" },
    { name: `neighbours, ${when}: first token p99`, value: shared99, unit: "ms" },
    { name: `neighbours, ${when}: first token p99, alone`, value: alone99, unit: "ms" },
    {
      name: `neighbours, ${when}: p99 with spill / alone`,
      value: shared99 / alone99,
      unit: "",
      ...(isJudged ? { atMost: 2 } : {}),
    },
    { name: `neighbours, ${when}: share sent away`, value: awayShare(own), unit: "" },
  ];
}

function share(name: string, of: readonly Asked[], atMost: number): Figure {
  return { name, value: awayShare(of), unit: "", atMost };
}

function halves(of: readonly Asked[]): readonly [number, number] {
  const times = of.map(firstTokenMs);
  return [quantile(times, 0.5), quantile(times, 0.99)];
}

function awayShare(of: readonly Asked[]): number {
  return shareOf(of, isAway);
}

function shareOf(of: readonly Asked[], holds: (each: Asked) => boolean): number {
  return of.filter(holds).length / of.length;
}

function answeredBy({ outcome }: Asked): string {
  return outcome.kind === "answered" ? outcome.by.region : "";
}

function isAway(each: Asked): boolean {
  const region = answeredBy(each);
  return region !== "" && region !== each.region;
}

function isLost({ outcome }: Asked): boolean {
  return outcome.kind !== "answered";
}

/** Whoever got none waited for it in vain, however soon that was told: as long as clients have patience, and more. */
function firstTokenMs({ outcome, patienceMs }: Asked): number {
  return outcome.kind === "answered" ? outcome.firstTokenMs : patienceMs;
}

function heldMs({ outcome }: Asked): number {
  return outcome.kind === "answered" ? outcome.by.heldMs : 0;
}
