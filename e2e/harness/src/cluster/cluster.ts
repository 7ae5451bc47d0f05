// A whole deployment on loopback from real programs: certificates, store, control planes, proxies, model backends.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Etcd, startEtcd } from "../etcd/etcd.ts";
import { freePorts } from "../etcd/free-ports.ts";
import type { Environment, Program } from "../process/program.ts";
import { entries } from "../process/root.ts";
import { type CommandResult, runCommand } from "../process/run-command.ts";
import { type Relay, startRelay } from "../relay/relay.ts";
import { noDistance, openDistance } from "./distance.ts";
import { defaultPolicy, type PolicyDocument, simulatedModels } from "./policy-document.ts";
import {
  backendProgram,
  controlAddresses,
  controlProgram,
  folder,
  proxyProgram,
  type Site,
} from "./programs.ts";
import { countPorts, defaultRegions, planTopology, type Shape, type Topology } from "./topology.ts";

export type ClusterOptions = Partial<Shape> & {
  /** Default embedded, which allows one control plane alone. */
  readonly store?: "embedded" | "etcd";
  /** What crosses a region's border takes the time that it takes between real regions. */
  readonly delayed?: boolean;
  /** Ports and programs as they are; default: free ports, planned by the shape. */
  readonly topology?: Topology;
  /** NAME:SIZE of each model of a simulated backend. */
  readonly models?: readonly string[];
  /** Divides the simulated backends' times; default 20, so that a test does not wait for a graphics card. */
  readonly speed?: number;
  /** The policy that is applied, made from the default one. */
  readonly policy?: (policy: PolicyDocument) => PolicyDocument;
  /** Added to each proxy's environment. */
  readonly proxyEnvironment?: Environment;
  /** Kept at the end when given; else a temporary folder. */
  readonly dataDir?: string;
  /** Where stores and proxies keep their state, if not in dataDir: a fresh store does not go with proxies' old files. */
  readonly stateDir?: string;
  readonly onUnexpectedExit?: (program: Program) => void;
  /** Hears each step of the start. */
  readonly progress?: (line: string) => void;
};

export type ClusterRegion = {
  readonly name: string;
  /** Base URLs for clients, one for each proxy. */
  readonly endpoints: readonly string[];
  readonly proxies: readonly Program[];
  /** In the order of the topology's plans. */
  readonly backends: readonly Program[];
  readonly backendUrls: readonly string[];
};

const startAttempts = 3;

/**
 * Starts everything and waits until every proxy is ready with the policy.
 *
 * @example const cluster = await startCluster(); … await cluster.stop();
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  for (let attempt = 1; ; attempt++) {
    const cluster = await openCluster(options);
    try {
      await cluster.start();
      return cluster;
    } catch (cause) {
      const logs = cluster.logs();
      await cluster.stop();
      // A port was free when we looked and taken when a program wanted it.
      const isClash = options.topology === undefined && /EADDRINUSE|is taken/.test(logs);
      if (!isClash || attempt === startAttempts) throw cause;
    }
  }
}

/** Makes the parts and starts etcd and the relay, where asked for, but none of the programs. */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const topology = options.topology ?? (await planOnFreePorts(options));
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "meridian-"));
  const stateDir = options.stateDir ?? dataDir;
  const relay = options.delayed === true ? await startRelay() : undefined;
  const far = relay === undefined ? noDistance : await openDistance(topology, relay);
  const etcd =
    options.store === "etcd"
      ? await openEtcd(options, { topology, dataDir, stateDir, relay })
      : undefined;
  const site: Site = {
    topology,
    dataDir,
    stateDir,
    controlAddress: far.control,
    store: (plan) =>
      etcd === undefined
        ? `embedded:${folder(stateDir, "control", plan.id)}`
        : `etcd:${etcd.endpoints(plan.region).join(",")}`,
    proxyEnvironment: (region) => ({
      ...(relay === undefined ? {} : { MERIDIAN_PEER_VIA: far.peers(region.name) }),
      ...options.proxyEnvironment,
    }),
    ...(options.onUnexpectedExit === undefined
      ? {}
      : { onUnexpectedExit: options.onUnexpectedExit }),
  };
  return new Cluster(site, options, { etcd, relay });
}

async function planOnFreePorts(options: ClusterOptions): Promise<Topology> {
  const shape: Shape = {
    regions: options.regions ?? defaultRegions,
    controlPlanes: options.controlPlanes ?? (options.store === "etcd" ? "each-region" : "one"),
    proxiesPerRegion: options.proxiesPerRegion ?? 1,
    backendsPerRegion: options.backendsPerRegion ?? 2,
  };
  const ports = [...(await freePorts(countPorts(shape)))];
  return planTopology(shape, () => {
    const port = ports.pop();
    if (port === undefined) throw new Error("countPorts and planTopology disagree");
    return port;
  });
}

function openEtcd(
  options: ClusterOptions,
  site: Pick<Site, "topology" | "dataDir" | "stateDir"> & { readonly relay: Relay | undefined },
): Promise<Etcd> {
  const regions = site.topology.regions.map((each) => each.name);
  return startEtcd({
    members: 3,
    regions,
    dataDir: folder(site.stateDir, "etcd"),
    logDir: folder(site.dataDir, "logs"),
    ...(site.relay === undefined ? {} : { relay: site.relay }),
    ...(options.progress === undefined ? {} : { log: options.progress }),
  });
}

/** A deployment that runs. Its parts may be killed and started again one by one. */
export class Cluster {
  readonly topology: Topology;
  readonly dataDir: string;
  readonly policy: PolicyDocument;
  readonly regions: readonly ClusterRegion[];
  readonly controlPlanes: readonly Program[];
  readonly etcd: Etcd | undefined;
  readonly relay: Relay | undefined;
  readonly #site: Site;
  readonly #options: ClusterOptions;

  constructor(
    site: Site,
    options: ClusterOptions,
    parts: { readonly etcd: Etcd | undefined; readonly relay: Relay | undefined },
  ) {
    this.#site = site;
    this.#options = options;
    this.topology = site.topology;
    this.dataDir = site.dataDir;
    this.etcd = parts.etcd;
    this.relay = parts.relay;
    const policy = defaultPolicy(site.topology);
    this.policy = options.policy?.(policy) ?? policy;
    this.controlPlanes = site.topology.controlPlanes.map((plan) => controlProgram(site, plan));
    const serving = { models: options.models ?? simulatedModels, speed: options.speed ?? 20 };
    this.regions = site.topology.regions.map((region) => ({
      name: region.name,
      endpoints: region.proxies.map((each) => `http://127.0.0.1:${each.clientPort}`),
      proxies: region.proxies.map((plan) => proxyProgram(site, region, plan)),
      backends: region.backends.map((plan) => backendProgram(site, plan, serving)),
      backendUrls: region.backends.map((each) => `http://127.0.0.1:${each.port}`),
    }));
  }

  /** Certificates, then all programs at once, then the policy; resolves when every proxy is ready with it. */
  async start(): Promise<void> {
    await this.initCertificates();
    this.launch();
    const backends = this.regions.flatMap((region) => region.backends);
    const proxies = this.regions.flatMap((region) => region.proxies);
    await Promise.all([...this.controlPlanes, ...backends].map((each) => each.ready()));
    const applied = await this.apply(this.policy);
    if (applied.code !== 0) {
      throw new Error(`the policy was refused:\n${applied.stdout}${applied.stderr}`);
    }
    await Promise.all(proxies.map((each) => each.ready()));
  }

  /** Starts every program and does not wait. The certificates must be there. */
  launch(): void {
    for (const each of this.programs()) each.launch();
  }

  /** The authority and one certificate for each part; those that exist are kept. */
  async initCertificates(): Promise<void> {
    const regions = this.regions.flatMap((region) => ["--region", region.name]);
    const out = join(this.dataDir, "pki");
    const done = await runCommand({
      entry: entries.commandLine,
      args: ["pki", "init", "--out", out, ...regions],
    });
    if (done.code !== 0) throw new Error(`no certificates: ${done.stdout}${done.stderr}`);
  }

  /** Runs the command `meridian` as an operator of this cluster. */
  meridian(...args: readonly string[]): Promise<CommandResult> {
    const environment = this.operatorEnvironment();
    return runCommand({ entry: entries.commandLine, args, environment });
  }

  operatorEnvironment(): { readonly MERIDIAN_SERVER: string; readonly MERIDIAN_TLS_DIR: string } {
    const home = this.topology.controlPlanes[0]?.region ?? "";
    return {
      MERIDIAN_SERVER: controlAddresses(this.#site, home).join(","),
      MERIDIAN_TLS_DIR: join(this.dataDir, "pki", "operator"),
    };
  }

  /** Puts a policy in force. */
  async apply(policy: PolicyDocument): Promise<CommandResult> {
    const file = join(this.dataDir, "policy.json");
    writeFileSync(file, JSON.stringify(policy, undefined, 2));
    return this.meridian("apply", "-f", file);
  }

  /** Throws when there is no such region. */
  region(name: string): ClusterRegion {
    const found = this.regions.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no region is named ${name}`);
    return found;
  }

  /** Every program, in the order in which they are stopped. */
  programs(): readonly Program[] {
    return [
      ...this.regions.flatMap((region) => region.proxies),
      ...this.controlPlanes,
      ...this.regions.flatMap((region) => region.backends),
    ];
  }

  /** The end of every program's output, for a failed test. */
  logs(lines = 30): string {
    const shown = this.programs().map((each) => `--- ${each.name}\n${each.logTail(lines)}`);
    const etcd = this.etcd?.members.map((each) => `--- ${each.name}\n${each.logTail()}`) ?? [];
    return [...shown, ...etcd].join("\n");
  }

  /** Ends everything; proxies first, so that no backend is missed. Temporary data is removed. */
  async stop(): Promise<void> {
    const proxies = this.regions.flatMap((region) => region.proxies);
    await Promise.all(proxies.map((each) => each.stop()));
    await Promise.all(this.programs().map((each) => each.stop()));
    await this.etcd?.stop();
    await this.relay?.close();
    if (this.#options.dataDir === undefined) rmSync(this.dataDir, { recursive: true, force: true });
  }
}
