// The clients of the spill bench: requests come at random instants at a rate, whatever becomes of those before them.

import { type Cluster, localKey } from "@meridian/harness";
import { type Random, seededRandom } from "@meridian/proto/base";
import { Agent } from "undici";
import { ask, type Outcome } from "../replay/ask.ts";
import { pauseMs } from "../watch-cuts/settle.ts";
import { type Arm, arms, hotRegion, size } from "./scene.ts";

/** One part of the course: how long it lasts, and how many requests a second come in the hot region. */
export type Phase = { readonly name: PhaseName; readonly seconds: number; readonly hot: number };

export type PhaseName = "half" | "over" | "after";

export type Demand = {
  readonly phases: readonly Phase[];
  /** Requests a second in each of the other regions. */
  readonly light: number;
  /** A client leaves when it has no answer after so long. */
  readonly patienceMs: number;
  readonly seed: string;
};

/** One request and its end. */
export type Asked = {
  readonly arm: Arm;
  readonly region: string;
  readonly phase: PhaseName;
  /** Seconds from the phase's begin to the request. */
  readonly atSeconds: number;
  readonly outcome: Outcome;
  readonly patienceMs: number;
};

type Arrival = Pick<Asked, "region" | "phase" | "atSeconds"> & { readonly atMs: number };

/** Both arms see the same requests at the same instants. Resolves when the last one has ended. */
export async function drive(cluster: Cluster, demand: Demand): Promise<readonly Asked[]> {
  const agent = new Agent({ connections: null, headersTimeout: 0, bodyTimeout: 0 });
  const begunMs = performance.now();
  const pending: Promise<Asked>[] = [];
  for (const [index, arrival] of arrivalsOf(cluster, demand).entries()) {
    const waitMs = begunMs + arrival.atMs - performance.now();
    if (waitMs > 1) await pauseMs(waitMs);
    for (const arm of arms) pending.push(askOne(cluster, { agent, demand, arrival, arm, index }));
  }
  const asked = await Promise.all(pending);
  await agent.close();
  return asked;
}

async function askOne(
  cluster: Cluster,
  request: {
    readonly agent: Agent;
    readonly demand: Demand;
    readonly arrival: Arrival;
    readonly arm: Arm;
    readonly index: number;
  },
): Promise<Asked> {
  const { agent, arrival, arm, demand, index } = request;
  const { region, phase, atSeconds } = arrival;
  const question = {
    model: arm,
    prompt: promptOf(index),
    outputTokens: size.outputTokens,
    patienceMs: demand.patienceMs,
  };
  const endpoint = cluster.region(region).endpoints[0] ?? "";
  const outcome = await ask(agent, endpoint, question, localKey);
  return { arm, region, phase, atSeconds, outcome, patienceMs: demand.patienceMs };
}

/** All regions' requests in the order of their times. */
function arrivalsOf(cluster: Cluster, demand: Demand): readonly Arrival[] {
  const all = cluster.regions.flatMap(({ name }) => {
    const random = seededRandom(demand.seed).fork(name);
    let startMs = 0;
    return demand.phases.flatMap((phase) => {
      const perSecond = name === hotRegion ? phase.hot : demand.light;
      const of = instants(random, perSecond, phase.seconds).map((atSeconds) => ({
        region: name,
        phase: phase.name,
        atSeconds,
        atMs: startMs + atSeconds * 1_000,
      }));
      startMs += phase.seconds * 1_000;
      return of;
    });
  });
  return all.sort((a, b) => a.atMs - b.atMs);
}

/** A Poisson process. */
function instants(random: Random, perSecond: number, seconds: number): readonly number[] {
  const all: number[] = [];
  let at = 0;
  for (;;) {
    at += -Math.log(1 - random.next()) / perSecond;
    if (at >= seconds) return all;
    all.push(at);
  }
}

/** No two begin alike: nothing of them is in any cache. */
export function promptOf(index: number): string {
  const text = `request ${index} ${"the quick brown fox jumps over the lazy dog ".repeat(200)}`;
  // The simulator counts four characters a token; "user: " and the line's end are its own.
  return text.slice(0, size.promptTokens * 4 - 7);
}
