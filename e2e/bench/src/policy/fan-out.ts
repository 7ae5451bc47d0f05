// One control plane and a thousand simulated proxies, beside a bare grpc-js server that sends the same bytes to the same
// streams with the same TLS: processor time per push, and time until all have acknowledged.

import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Cluster, openCluster } from "@meridian/harness";
import { openAdmin } from "./admin.ts";
import {
  type FromBareServer,
  type FromLoad,
  machineMs,
  type OpenStreams,
  type ToBareServer,
} from "./fan-out-messages.ts";
import { processorMs, residentMib } from "./process-time.ts";
import { reweighted } from "./reweighted.ts";

export type FanOutOptions = { readonly proxies: number; readonly pushes: number };

/** What one server did for one series of pushes. */
export type Series = {
  /** The server's processor time, divided by the pushes. */
  readonly processorMsPerPush: number;
  /** From the first proxy that received it to the last that acknowledged it. */
  readonly spreadMs: readonly number[];
  /** From the order (apply called, or write begun) to the last acknowledgement. */
  readonly orderedMs: readonly number[];
  readonly residentMib: number;
  readonly bytesPerPush: number;
};

export type FanOutResult = {
  readonly control: Series;
  readonly bare: Series;
  /** With state frames and reports on top, as real proxies have them; and at rest, processor ms per second. */
  readonly allLanes: Series & { readonly restMsPerSecond: number };
};

const region = "us-east";
const loadPrograms = 2;
const restMs = 5_000;
/** Between pushes: what one left behind, a collection for instance, is not the next one's. */
const settleMs = 200;
/** Not counted: code that was never run is compiled first, on both sides. */
const warmUpPushes = 3;
const acknowledgeTimeoutMs = 60_000;

export async function measureFanOut(options: FanOutOptions): Promise<FanOutResult> {
  const cluster = await openCluster({ regions: [region, "eu-west"], controlPlanes: "one" });
  try {
    await cluster.initCertificates();
    await Promise.all(cluster.controlPlanes.map((each) => each.start()));
    const control = await controlSeries(cluster, options, "policy");
    const allLanes = await controlSeries(cluster, options, "all");
    const bare = await bareSeries(cluster, options, control.pushes);
    return { control, bare, allLanes };
  } finally {
    await cluster.stop();
  }
}

type Server = {
  readonly pid: number;
  readonly address: string;
  readonly order: (turn: number) => Promise<void>;
};

let applied = 0;

async function controlSeries(
  cluster: Cluster,
  options: FanOutOptions,
  lanes: OpenStreams["lanes"],
): Promise<Series & { readonly restMsPerSecond: number; readonly pushes: readonly string[] }> {
  const pid = cluster.controlPlanes[0]?.pid;
  const plan = cluster.topology.controlPlanes[0];
  if (pid === undefined || plan === undefined) throw new Error("the control plane does not run");
  const address = `127.0.0.1:${plan.listenPort}`;
  const admin = openAdmin(address, cluster.operatorEnvironment().MERIDIAN_TLS_DIR);
  const order = async () => {
    applied += 1;
    await admin.apply(reweighted(cluster.policy, applied));
  };
  try {
    await order();
    return await series({ cluster, options, lanes, server: { pid, address, order } });
  } finally {
    admin.close();
  }
}

async function bareSeries(
  cluster: Cluster,
  options: FanOutOptions,
  pushes: readonly string[],
): Promise<Series> {
  const child = start("./bare-server.ts");
  const tell = (message: ToBareServer) => child.send(message);
  try {
    const listening = new Promise<FromBareServer>((resolve, reject) => {
      // The bare server of this package sends it.
      child.once("message", (message) => resolve(message as FromBareServer));
      child.once("exit", () => reject(new Error("the bare server ended")));
    });
    tell({ kind: "listen", tlsDir: join(cluster.dataDir, "pki", `control-${region}`) });
    const { port } = await listening;
    const server: Server = {
      pid: child.pid ?? 0,
      address: `127.0.0.1:${port}`,
      order: async (turn) => {
        tell({ kind: "push", pushBase64: pushes[turn % pushes.length] ?? "" });
      },
    };
    return await series({ cluster, options, lanes: "policy", server });
  } finally {
    child.kill("SIGKILL");
  }
}

async function series(parts: {
  readonly cluster: Cluster;
  readonly options: FanOutOptions;
  readonly lanes: OpenStreams["lanes"];
  readonly server: Server;
}): Promise<Series & { readonly restMsPerSecond: number; readonly pushes: readonly string[] }> {
  const { server, options, lanes } = parts;
  const loads = Array.from({ length: loadPrograms }, () => startLoad());
  try {
    await Promise.all(
      loads.map((load, index) =>
        load.open({
          kind: "open",
          address: server.address,
          tlsDir: join(parts.cluster.dataDir, "pki", `proxy-${region}`),
          region,
          name: `bench-${lanes}-${index}`,
          streams: Math.ceil(options.proxies / loadPrograms),
          lanes,
        }),
      ),
    );
    // The first answers to connecting are over then.
    await pause(1_000);
    const restBeforeMs = processorMs(server.pid);
    await pause(restMs);
    const restMsPerSecond = ((processorMs(server.pid) - restBeforeMs) * 1_000) / restMs;

    await pushAll(warmUpPushes);
    const beforeMs = processorMs(server.pid);
    const rounds = await pushAll(options.pushes);
    return {
      restMsPerSecond,
      processorMsPerPush: (processorMs(server.pid) - beforeMs) / options.pushes,
      spreadMs: rounds.map((each) => each.spreadMs),
      orderedMs: rounds.map((each) => each.orderedMs),
      residentMib: residentMib(server.pid),
      bytesPerPush: (rounds[0]?.push.length ?? 0) * 0.75,
      pushes: rounds.map((each) => each.push),
    };
  } finally {
    for (const load of loads) load.end();
  }

  async function pushAll(count: number): Promise<readonly Round[]> {
    const rounds: Round[] = [];
    for (let turn = 0; turn < count; turn++) {
      rounds.push(await pushOnce(server, loads, turn));
      await pause(settleMs);
    }
    return rounds;
  }
}

type Round = { readonly push: string; readonly spreadMs: number; readonly orderedMs: number };

async function pushOnce(server: Server, loads: readonly Load[], turn: number): Promise<Round> {
  const startedMs = machineMs();
  const acknowledged = Promise.all(loads.map((load) => load.acknowledged()));
  await server.order(turn);
  const answers = await acknowledged;
  const push = answers[0]?.pushBase64 ?? "";
  if (answers.some((each) => each.pushBase64 !== push))
    throw new Error("proxies got unequal pushes");
  const lastMs = Math.max(...answers.map((each) => each.lastAcknowledgedMs));
  return {
    push,
    spreadMs: lastMs - Math.min(...answers.map((each) => each.firstReceivedMs)),
    orderedMs: lastMs - startedMs,
  };
}

type Acknowledged = Extract<FromLoad, { readonly kind: "acknowledged" }>;

type Load = {
  readonly open: (message: OpenStreams) => Promise<void>;
  /** The next push that all of its streams have acknowledged. */
  readonly acknowledged: () => Promise<Acknowledged>;
  readonly end: () => void;
};

function startLoad(): Load {
  const child = start("./load.ts");
  let take: (message: FromLoad) => void = () => undefined;
  let fail: (cause: Error) => void = () => undefined;
  child.on("message", (message) => {
    // The load of this package sends it.
    const told = message as FromLoad;
    if (told.kind === "broken") fail(new Error(`a simulated proxy: ${told.message}`));
    else take(told);
  });
  child.on("exit", () => fail(new Error("the load ended")));

  function next<K extends FromLoad["kind"]>(kind: K): Promise<Extract<FromLoad, { kind: K }>> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => fail(new Error(`the load did not say "${kind}" in time`)),
        acknowledgeTimeoutMs,
      );
      fail = (cause) => {
        clearTimeout(timer);
        reject(cause);
      };
      take = (message) => {
        if (message.kind !== kind) return;
        clearTimeout(timer);
        // Compared just above.
        resolve(message as Extract<FromLoad, { kind: K }>);
      };
    });
  }
  return {
    open: async (message) => {
      const opened = next("opened");
      child.send(message);
      await opened;
    },
    acknowledged: () => next("acknowledged"),
    end: () => child.kill("SIGKILL"),
  };
}

function start(program: string): ChildProcess {
  return fork(fileURLToPath(new URL(program, import.meta.url)), {
    execArgv: [],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}
