// Replays a trace through a cluster: every client asks its own region, and the next one's when that is gone.

import { type Cluster, localKey } from "@meridian/harness";
import { Agent } from "undici";
import { ask, type Outcome } from "./ask.ts";
import type { Scenario } from "./scenarios.ts";
import type { Arrival } from "./trace.ts";

export type Answer = {
  /** The client's own region. */
  readonly home: string;
  readonly outcome: Outcome;
  /** Endpoints that could not be reached before one answered. */
  readonly detours: number;
  readonly isExcused: boolean;
};

export type Run = {
  readonly scenario: string;
  readonly killed: readonly string[];
  readonly seconds: number;
  readonly answers: readonly Answer[];
};

/** When in the trace the scenario strikes. */
const strikeAt = 0.4;

export async function replay(options: {
  readonly cluster: Cluster;
  readonly arrivals: readonly Arrival[];
  readonly speed: number;
  readonly scenario: Scenario;
}): Promise<Run> {
  const { cluster, arrivals, speed, scenario } = options;
  const agent = new Agent({ connections: 256, headersTimeout: 60_000, bodyTimeout: 60_000 });
  const startedMs = performance.now();
  const strikeIndex = scenario.name === "none" ? -1 : Math.floor(arrivals.length * strikeAt);
  let struckMs = Number.POSITIVE_INFINITY;
  let striking: Promise<readonly string[]> = Promise.resolve([]);
  const pending: Promise<Asked>[] = [];
  for (const [index, arrival] of arrivals.entries()) {
    await until(startedMs + arrival.atMs / speed);
    if (index === strikeIndex) {
      struckMs = performance.now();
      striking = scenario.strike(cluster);
    }
    pending.push(askNearest({ cluster, agent, arrival, index }));
  }
  const asked = await Promise.all(pending);
  // Only now: a client sees its connection cut before the killed process is reported as gone.
  const killed = await striking;
  await agent.close();
  return {
    scenario: scenario.name,
    killed,
    seconds: (performance.now() - startedMs) / 1_000,
    answers: asked.map((each) => ({
      home: each.home,
      outcome: each.outcome,
      detours: each.detours,
      isExcused: each.endedMs >= struckMs && wasCut(killed, each),
    })),
  };
}

/** One request's end, before it is known what was killed. */
type Asked = Omit<Answer, "isExcused"> & {
  /** The proxy that was asked last. */
  readonly proxy: string;
  readonly endedMs: number;
};

async function askNearest(request: {
  readonly cluster: Cluster;
  readonly agent: Agent;
  readonly arrival: Arrival;
  readonly index: number;
}): Promise<Asked> {
  const { cluster, agent, arrival, index } = request;
  const homeIndex = index % cluster.regions.length;
  const order = [...cluster.regions.slice(homeIndex), ...cluster.regions.slice(0, homeIndex)];
  const home = order[0]?.name ?? "";
  const question = {
    // One of four asks the large model.
    model: index % 4 === 0 ? "sim-large" : "sim-small",
    prompt: promptOf(arrival, index),
    outputTokens: arrival.outputTokens,
  };
  let outcome: Outcome = { kind: "unreached", cause: "there is no endpoint" };
  let detours = 0;
  for (const region of order) {
    outcome = await ask(agent, region.endpoints[0] ?? "", question, localKey);
    if (outcome.kind !== "unreached") {
      const proxy = region.proxies[0]?.name ?? "";
      return { home, outcome, detours, proxy, endedMs: performance.now() };
    }
    detours += 1;
  }
  return { home, outcome, detours, proxy: "", endedMs: performance.now() };
}

/** The answer was on its way through a process that was killed: no router can mend that without lying. */
function wasCut(killed: readonly string[], { outcome, proxy }: Asked): boolean {
  if (outcome.kind !== "failed" || !outcome.wasStreaming) return false;
  return killed.includes(outcome.by.backend) || killed.includes(proxy);
}

/** A prompt of the recorded length; equal prefixes share their first 512 tokens. */
function promptOf({ promptTokens, prefix }: Arrival, index: number): string {
  const characters = promptTokens * 4;
  const shared = `${prefix} `.repeat(Math.ceil(2_048 / (prefix.length + 1))).slice(0, 2_048);
  return `${shared}request ${index} ${filler}`.slice(0, Math.max(16, characters));
}

const filler = "the quick brown fox jumps over the lazy dog ".repeat(1_500);

async function until(atMs: number): Promise<void> {
  const waitMs = atMs - performance.now();
  if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
}
