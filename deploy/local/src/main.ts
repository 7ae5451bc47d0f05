// `npm start`: three regions on this machine, from real programs, until Ctrl-C.

import { mkdirSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { join } from "node:path";
import { type Cluster, openCluster, type Program, type Topology } from "@meridian/harness";
import { askBackend, findOllama } from "./external-backends.ts";
import {
  emptyEtcdState,
  forget,
  hasCertificates,
  noteApplied,
  removePids,
  wasApplied,
  writePids,
} from "./kept-state.ts";
import { localTopology, switchPort, takenPorts } from "./layout.ts";
import { type Options, parseOptions } from "./options.ts";
import { renderPolicy } from "./policy.ts";
import { summary } from "./summary.ts";
import { openSwitches } from "./switches.ts";

const parsed = parseOptions(process.argv.slice(2));
if (parsed.kind === "help") {
  console.log(parsed.text);
  process.exit(0);
}
if (parsed.kind === "wrong") fail(...parsed.problems, "npm start -- --help lists the options");

const { options } = parsed;
let cluster: Cluster | undefined;
let switches: Server | undefined;
const repeatMs = 500;
let stoppingSinceMs: number | undefined;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
// Whoever started this process is gone, however it ended.
process.on("disconnect", () => end(1).catch(() => process.exit(1)));

try {
  await start(options);
} catch (error) {
  // Parts that are killed by a stop cannot become ready; that is no failure.
  if (stoppingSinceMs === undefined) {
    console.error(`meridian: ${error instanceof Error ? error.message : String(error)}`);
    await end(1);
  }
}

async function start(wanted: Options): Promise<void> {
  const startedMs = performance.now();
  const external = await Promise.all(wanted.backends.map(askBackend));
  const backendsPerRegion = external.length > 0 ? 0 : 2;
  const topology = localTopology({ ...wanted, backendsPerRegion });
  await refuseTakenPorts(topology, wanted);
  if (wanted.isFresh) forget(wanted.dataDir);
  mkdirSync(wanted.dataDir, { recursive: true });
  const [running, ollamaModels] = await Promise.all([
    startPrograms(wanted, topology),
    external.length > 0 ? undefined : findOllama(),
  ]);
  await putInForce(running, wanted, renderPolicy(topology, external));
  await step("proxies", running, (each) => each.regions.flatMap((region) => region.proxies));
  const port = switchPort(wanted.basePort);
  switches = openSwitches(running, port, () => writePids(wanted.dataDir, running));
  writePids(wanted.dataDir, running);
  const seconds = (performance.now() - startedMs) / 1_000;
  const switchUrl = `http://127.0.0.1:${port}`;
  console.log("");
  console.log(
    summary({ cluster: running, options: wanted, external, ollamaModels, switchUrl, seconds }),
  );
}

async function refuseTakenPorts(topology: Topology, { basePort }: Options): Promise<void> {
  const taken = await takenPorts(topology, basePort);
  if (taken.length === 0) return;
  fail(
    `something listens already on port ${taken.join(", ")}`,
    "is another `npm start` running? Stop it, or use other ports: npm start -- --port 9801",
  );
}

async function startPrograms(wanted: Options, topology: Topology): Promise<Cluster> {
  const isEtcd = wanted.store === "etcd";
  if (isEtcd) say("starting three etcd members and the distance between regions");
  const opened = await openCluster({
    topology,
    dataDir: wanted.dataDir,
    store: wanted.store,
    delayed: isEtcd,
    speed: 1,
    progress: say,
    onUnexpectedExit: tellExit,
    ...(isEtcd ? { stateDir: emptyEtcdState(wanted.dataDir) } : {}),
  });
  cluster = opened;
  if (!hasCertificates(wanted.dataDir, Date.now())) {
    say("making a local authority and certificates");
    await opened.initCertificates();
  }
  opened.launch();
  await step("control plane", opened, (each) => each.controlPlanes);
  await step("model backends", opened, (each) => each.regions.flatMap(({ backends }) => backends));
  return opened;
}

/** The policy of this start, unless the same one was applied before: then what is in force since stays. */
async function putInForce(running: Cluster, wanted: Options, policy: string): Promise<void> {
  const isKept = wanted.store === "embedded";
  if (isKept && wasApplied(wanted.dataDir, policy)) {
    say("policy: as it was left");
    return;
  }
  const file = join(wanted.dataDir, "policy.yaml");
  writeFileSync(file, policy);
  const done = await running.meridian("apply", "-f", file);
  if (done.code !== 0) throw new Error(`the policy was refused:\n${done.stdout}${done.stderr}`);
  if (isKept) noteApplied(wanted.dataDir, policy);
  say(`policy: ${file}`);
}

async function step(
  name: string,
  of: Cluster,
  choose: (cluster: Cluster) => readonly Program[],
): Promise<void> {
  const programs = choose(of);
  if (programs.length === 0) return;
  await Promise.all(programs.map((each) => each.ready()));
  say(`${name}: ${programs.map((each) => each.name).join(", ")}`);
}

function tellExit(program: Program): void {
  if (stoppingSinceMs !== undefined) return;
  console.error(`\n${program.name} ended unexpectedly; the end of its output:`);
  console.error(program.logTail(15));
  if (cluster !== undefined && switches !== undefined) {
    const door = `http://127.0.0.1:${switchPort(options.basePort)}`;
    console.error(`Start it again: curl -X POST ${door}/start/${program.name}`);
    writePids(options.dataDir, cluster);
  }
}

function stop(): void {
  if (stoppingSinceMs === undefined) {
    end(0).catch(() => process.exit(1));
    return;
  }
  // A signal to the whole group arrives twice, directly and by the parent. A later one is a person who will not
  // wait: the children end with the channel to this process.
  if (performance.now() - stoppingSinceMs > repeatMs) process.exit(1);
}

async function end(code: number): Promise<void> {
  stoppingSinceMs = performance.now();
  if (cluster !== undefined) say("stopping");
  switches?.close();
  await cluster?.stop();
  removePids(options.dataDir);
  process.exit(code);
}

function say(line: string): void {
  console.log(`  ${line}`);
}

function fail(...lines: readonly string[]): never {
  for (const line of lines) console.error(`meridian: ${line}`);
  process.exit(2);
}
