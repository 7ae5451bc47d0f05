// Where the matrix is run: one proxy in each of two regions, and model servers in lanes. Cells of one lane run in turn,
// lanes beside each other: a lane has model servers and models of its own, so that no cell meets another's fault.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Cluster,
  entries,
  freePorts,
  type PolicyBackend,
  type PolicyDocument,
  Program,
  startCluster,
} from "@meridian/harness";
import type { Alternatives } from "./cell.ts";
import { limits } from "./oracle.ts";

/** Model servers of a lane: one that fails, and two that could stand in. */
const serversPerLane = 3;

export type Lane = {
  readonly number: number;
  readonly ports: readonly number[];
  /** Where faults are switched and requests looked at. */
  readonly control: string;
  /** A model that one, two or all of the lane's servers serve. */
  readonly modelFor: (alternatives: Alternatives) => string;
};

export type Bed = {
  readonly lanes: readonly Lane[];
  /** Base URL for clients. */
  readonly endpoint: string;
  /** Base URL of the proxy's health, metrics and decision records. */
  readonly ops: string;
  readonly logs: () => string;
  readonly stop: () => Promise<void>;
};

/** 2 ms for a token: an answer of 40 tokens takes 80 ms. */
const size = "0.01:2:0:256:1024";
const regions = ["us-east", "eu-west"] as const;

export async function startBed(options: { readonly lanes: number }): Promise<Bed> {
  const numbers = Array.from({ length: options.lanes }, (_, index) => index);
  const [controlPort = 0, ...ports] = await freePorts(1 + options.lanes * serversPerLane);
  const lanes = numbers.map(
    (number): Lane => ({
      number,
      ports: ports.slice(number * serversPerLane, (number + 1) * serversPerLane),
      control: `http://127.0.0.1:${controlPort}`,
      modelFor: (alternatives) => modelOf(number, alternatives),
    }),
  );
  const simulator = simulatorOf(lanes, controlPort);
  await simulator.start();
  const cluster = await startCluster({
    regions: [...regions],
    backendsPerRegion: 0,
    policy: (policy) => policyOf(policy, lanes),
  });
  return bedOf(cluster, simulator, lanes);
}

function bedOf(cluster: Cluster, simulator: Program, lanes: readonly Lane[]): Bed {
  const home = cluster.topology.regions[0]?.proxies[0];
  return {
    lanes,
    endpoint: `http://127.0.0.1:${home?.clientPort}`,
    ops: `http://127.0.0.1:${home?.opsPort}`,
    logs: () => `${cluster.logs()}\n--- simulator\n${simulator.logTail(20)}`,
    stop: async () => {
      await cluster.stop();
      await simulator.stop();
    },
  };
}

function simulatorOf(lanes: readonly Lane[], controlPort: number): Program {
  const models = lanes.flatMap((lane) => choices.map((each) => `${lane.modelFor(each)}:${size}`));
  return new Program({
    name: "matrix-simulator",
    entry: entries.modelSimulator,
    args: [
      "--control-port",
      String(controlPort),
      ...lanes.flatMap((lane) => lane.ports.flatMap((port) => ["--port", String(port)])),
      ...models.flatMap((each) => ["--model", each]),
    ],
    readyUrl: `http://127.0.0.1:${controlPort}/faults`,
    logFile: join(mkdtempSync(join(tmpdir(), "meridian-matrix-")), "simulator.log"),
  });
}

const choices: readonly Alternatives[] = [0, 1, 2];

function modelOf(lane: number, alternatives: Alternatives): string {
  return `lane-${lane}-${alternatives}`;
}

export function backendOf(lane: Lane, place: number): string {
  return `lane-${lane.number}-${"abc".charAt(place)}`;
}

function policyOf(policy: PolicyDocument, lanes: readonly Lane[]): PolicyDocument {
  const backends = lanes.flatMap((lane) =>
    lane.ports.map(
      (port, place): PolicyBackend => ({
        name: backendOf(lane, place),
        region: regions[0],
        url: `http://127.0.0.1:${port}`,
        // The server at place n serves those models that have at least n alternatives to the first one.
        serves: choices
          .filter((each) => each >= place)
          .map((each) => ({ model: lane.modelFor(each) })),
      }),
    ),
  );
  const models = lanes.flatMap((lane) => choices.map((each) => ({ name: lane.modelFor(each) })));
  const route = {
    name: "matrix",
    match: { models: ["lane-*"] },
    timeouts: limits,
    retry: { attempts: 4, budgetPercent: 100 },
    fallback: ["remote"],
  };
  return { ...policy, backends, models, routes: [route] };
}
