// Where the matrix is run: one proxy in each of two regions, and model servers in lanes. Cells of one lane run in turn,
// lanes beside each other: a lane has model servers and models of its own, so that no cell meets another's fault.

import {
  type Cluster,
  entries,
  freePorts,
  type PolicyBackend,
  type PolicyDocument,
  Program,
  startCluster,
} from "@meridian/harness";
import { type Alternatives, type Family, families } from "./cell.ts";
import { hedgeMinMs, limits, quickHeadersMs } from "./oracle.ts";

export type Lane = {
  readonly number: number;
  /** The one that fails, two that could stand in, and one in the other region. */
  readonly ports: readonly number[];
  /** Where faults are switched and requests looked at. */
  readonly control: string;
};

export type Bed = {
  readonly lanes: readonly Lane[];
  /** Base URL for clients. */
  readonly endpoint: string;
  /** The other region's. */
  readonly farEndpoint: string;
  /** Base URL of the proxy's health, metrics and decision records. */
  readonly ops: string;
  readonly logs: () => string;
  readonly stop: () => Promise<void>;
};

/** Servers of this region in a lane; one more is in the other region. */
const homeServers = 3;
const serversPerLane = homeServers + 1;

/** 2 ms for a token: an answer of 25 tokens takes 50 ms. */
const size = "0.01:2:0:256:1024";
const regions = ["us-east", "eu-west"] as const;
const choices: readonly Alternatives[] = [0, 1, 2];

/** Both ways in which model servers go on from an assistant's words; lanes have one or the other. */
const prefixes = ["append", "continue-final-message"] as const;

/** The model by which a cell's pool is asked. */
export function modelOf(lane: Lane, family: Family, alternatives: Alternatives): string {
  return `${family}-${lane.number}-${alternatives}`;
}

/** The ports of a cell's pool: the faulty one first where that is fixed. */
export function poolOf(lane: Lane, family: Family, alternatives: Alternatives): readonly number[] {
  const [home = 0, , , far = 0] = lane.ports;
  return isFar(family) ? [home, far] : lane.ports.slice(0, alternatives + 1);
}

/** The model of a cell about health: its last server is a backend of its own, as what is learned of it stays. */
export function healthModelOf(cell: number): string {
  return `health-${cell}`;
}

/** The lane in which a cell about health is run. */
export function healthLaneOf(cell: number, lanes: readonly Lane[]): Lane | undefined {
  return lanes[cell % lanes.length];
}

export function isFar(family: Family): boolean {
  return family === "abroad" || family === "onward";
}

export async function startBed(options: {
  readonly lanes: number;
  /** Cells about health. */
  readonly healthCells: number;
  /** Further backends, models and routes. */
  readonly policy?: (policy: PolicyDocument) => PolicyDocument;
}): Promise<Bed> {
  const [portOfAppend = 0, portOfFlag = 0, ...ports] = await freePorts(
    prefixes.length + options.lanes * serversPerLane,
  );
  const lanes = Array.from(
    { length: options.lanes },
    (_, number): Lane => ({
      number,
      ports: ports.slice(number * serversPerLane, (number + 1) * serversPerLane),
      control: `http://127.0.0.1:${number % 2 === 0 ? portOfAppend : portOfFlag}`,
    }),
  );
  const healthModels = Array.from({ length: options.healthCells }, (_, cell) =>
    healthModelOf(cell),
  );
  const simulators = [
    simulatorOf(
      lanes.filter((each) => each.number % 2 === 0),
      { controlPort: portOfAppend, assistantPrefix: "append", healthModels },
    ),
    simulatorOf(
      lanes.filter((each) => each.number % 2 === 1),
      { controlPort: portOfFlag, assistantPrefix: "continue-final-message", healthModels },
    ),
  ].filter((each) => each !== undefined);
  const stopSimulators = () => Promise.all(simulators.map((each) => each.stop()));
  try {
    await Promise.all(simulators.map((each) => each.start()));
    const cluster = await startCluster({
      regions: [...regions],
      backendsPerRegion: 0,
      policy: (policy) => {
        const own = withHealthCells(policyOf(policy, lanes), lanes, options.healthCells);
        return options.policy?.(own) ?? own;
      },
    });
    return bedOf(cluster, lanes, stopSimulators);
  } catch (cause) {
    await stopSimulators();
    throw cause;
  }
}

function bedOf(
  cluster: Cluster,
  lanes: readonly Lane[],
  stopSimulators: () => Promise<unknown>,
): Bed {
  const [home, far] = cluster.topology.regions.map((each) => each.proxies[0]);
  return {
    lanes,
    endpoint: `http://127.0.0.1:${home?.clientPort}`,
    farEndpoint: `http://127.0.0.1:${far?.clientPort}`,
    ops: `http://127.0.0.1:${home?.opsPort}`,
    logs: () => cluster.logs(),
    stop: async () => {
      await cluster.stop();
      await stopSimulators();
    },
  };
}

/** One process stands for the servers of many lanes; undefined when there are none. */
function simulatorOf(
  lanes: readonly Lane[],
  {
    controlPort,
    assistantPrefix,
    healthModels,
  }: {
    readonly controlPort: number;
    readonly assistantPrefix: (typeof prefixes)[number];
    readonly healthModels: readonly string[];
  },
): Program | undefined {
  if (lanes.length === 0) return undefined;
  const ports = lanes.flatMap((lane) => lane.ports.flatMap((port) => ["--port", String(port)]));
  const names = [...lanes.flatMap(servesAny), ...healthModels];
  const models = names.flatMap((model) => ["--model", `${model}:${size}`]);
  return new Program({
    name: `matrix-simulator-${assistantPrefix}`,
    entry: entries.modelSimulator,
    args: [
      ...["--control-port", String(controlPort), "--assistant-prefix", assistantPrefix],
      ...ports,
      ...models,
    ],
    readyUrl: `http://127.0.0.1:${controlPort}/faults`,
  });
}

function servesAny(lane: Lane): readonly string[] {
  return families.flatMap((family) => choices.map((each) => modelOf(lane, family, each)));
}

function policyOf(policy: PolicyDocument, lanes: readonly Lane[]): PolicyDocument {
  const models = lanes.flatMap((lane) =>
    families.flatMap((family) =>
      choices.map((each) => ({
        name: modelOf(lane, family, each),
        continueStreams: family === "resume" || family === "onward",
      })),
    ),
  );
  return {
    ...policy,
    backends: lanes.flatMap(backendsOf),
    models,
    routes: families.map(routeOf),
    // A server here fails in every cell: verdicts on it are to be as slow as they can be.
    health: { falseAlarmsPerMonth: 0.001 },
  };
}

/** For each cell two servers of its lane, and the third under a name of its own. */
function withHealthCells(
  policy: PolicyDocument,
  lanes: readonly Lane[],
  count: number,
): PolicyDocument {
  const cells = Array.from({ length: count }, (_, cell) => cell);
  const helping = (backend: PolicyBackend) =>
    cells.filter((cell) => {
      const lane = healthLaneOf(cell, lanes);
      return ["a", "b"].some((letter) => backend.name === `lane-${lane?.number}-${letter}`);
    });
  const own = cells.map(
    (cell): PolicyBackend => ({
      name: healthModelOf(cell),
      region: regions[0],
      url: `http://127.0.0.1:${healthLaneOf(cell, lanes)?.ports[2]}`,
      serves: [{ model: healthModelOf(cell) }],
    }),
  );
  const helpers = policy.backends.map((each) => ({
    ...each,
    serves: [...each.serves, ...helping(each).map((cell) => ({ model: healthModelOf(cell) }))],
  }));
  const route = { ...routeOf("plain"), name: "health", match: { models: ["health-*"] } };
  return {
    ...policy,
    backends: [...helpers, ...own],
    models: [...policy.models, ...cells.map((cell) => ({ name: healthModelOf(cell) }))],
    routes: [...(policy.routes ?? []), route],
  };
}

function backendsOf(lane: Lane): readonly PolicyBackend[] {
  return lane.ports.map((port, place) => ({
    name: `lane-${lane.number}-${"abcf".charAt(place)}`,
    region: place < homeServers ? regions[0] : regions[1],
    url: `http://127.0.0.1:${port}`,
    serves: families.flatMap((family) =>
      choices
        .filter((each) => poolOf(lane, family, each).includes(port))
        .map((each) => ({ model: modelOf(lane, family, each) })),
    ),
    assistantPrefix: lane.number % 2 === 0 ? prefixes[0] : prefixes[1],
  }));
}

function routeOf(family: Family): { readonly [field: string]: unknown } {
  const timeouts = family === "quick" ? { ...limits, headersMs: quickHeadersMs } : limits;
  return {
    name: family,
    match: { models: [`${family}-*`] },
    timeouts,
    retry: { attempts: 4, budgetPercent: 100 },
    fallback: ["remote"],
    ...(family === "hedge" ? { hedge: { budgetPercent: 50, minMs: hedgeMinMs } } : {}),
  };
}
