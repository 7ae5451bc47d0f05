// Where real faults are met: one region of real programs, a control plane and two proxies, and pools of three simulated
// backends beside each other, so that several faults can be met at the same time and none meets another's pool.

import {
  type Cluster,
  entries,
  freePorts,
  type PolicyBackend,
  type PolicyDocument,
  Program,
  startCluster,
} from "@meridian/harness";
import { Simulator } from "./simulator.ts";

export type SceneBackend = {
  readonly name: string;
  readonly simulator: Simulator;
};

/** A pool with a model of its own. */
export type ScenePool = {
  readonly model: string;
  readonly backends: readonly SceneBackend[];
};

export type Scene = {
  readonly cluster: Cluster;
  /** Base URLs for clients, one for each proxy. */
  readonly endpoints: readonly string[];
  readonly pools: ReadonlyMap<string, ScenePool>;
  /** Backends of the whole fleet: thresholds follow from it. */
  readonly fleet: number;
  readonly stop: () => Promise<void>;
};

const region = "eu-west";
const backendsPerPool = 3;
const proxiesPerRegion = 2;

/**
 * 0.1 ms for each token of the prompt, 4 ms for one of the answer, 80 ms on the way: first tokens after about 105 ms, so
 * that a machine with other work does not hide what is three times as slow.
 */
const size = "0.1:4:0.05:64:512:80";

const canaryPrompt = "Which word comes first?";
const canaryTokens = 4;

/** One pool for each model. */
export async function startScene(models: readonly string[]): Promise<Scene> {
  const ports = await freePorts(models.length * backendsPerPool);
  const pools = models.map((model, at) =>
    poolOf(model, ports.slice(at * backendsPerPool, (at + 1) * backendsPerPool)),
  );
  const simulators = pools.flatMap((pool) => pool.backends.map((each) => each.simulator));
  const stopSimulators = () => Promise.all(simulators.map((each) => each.program.stop()));
  try {
    await Promise.all(simulators.map((each) => each.program.start()));
    const backends = (await Promise.all(pools.map(policyBackends))).flat();
    const cluster = await startCluster({
      regions: [region],
      proxiesPerRegion,
      backendsPerRegion: 0,
      policy: (policy) => policyOf(policy, models, backends),
    });
    return {
      cluster,
      endpoints: cluster.region(region).endpoints,
      pools: new Map(pools.map((pool) => [pool.model, pool])),
      fleet: simulators.length,
      stop: async () => {
        await cluster.stop();
        await stopSimulators();
      },
    };
  } catch (cause) {
    await stopSimulators();
    throw cause;
  }
}

/** Throws when there is no such pool. */
export function poolNamed(scene: Scene, model: string): ScenePool {
  const found = scene.pools.get(model);
  if (found === undefined) throw new Error(`no pool serves ${model}`);
  return found;
}

function poolOf(model: string, ports: readonly number[]): ScenePool {
  return {
    model,
    backends: ports.map((port, at) => {
      const name = `${model}-${"abc".charAt(at)}`;
      const program = new Program({
        name,
        entry: entries.modelSimulator,
        args: ["--port", String(port), "--seed", name, "--model", `${model}:${size}`],
        readyUrl: `http://127.0.0.1:${port}/health`,
      });
      return { name, simulator: new Simulator(program, `http://127.0.0.1:${port}`) };
    }),
  };
}

/** The canary's answer is taken from the backend while it is well, as an operator would. */
function policyBackends({ model, backends }: ScenePool): Promise<readonly PolicyBackend[]> {
  return Promise.all(
    backends.map(async ({ name, simulator }) => {
      const answer = await simulator.answerTo(model, canaryPrompt, canaryTokens);
      const canary = { model, prompt: canaryPrompt, expect: answer };
      return {
        name,
        region,
        url: simulator.url,
        serves: [{ model }],
        probe: { latencyMs: 5_000, canary },
      };
    }),
  );
}

function policyOf(
  policy: PolicyDocument,
  models: readonly string[],
  backends: readonly PolicyBackend[],
): PolicyDocument {
  return {
    ...policy,
    backends,
    models: models.map((name) => ({ name })),
    routes: [{ name: "all", match: { models: ["*"] } }],
  };
}
