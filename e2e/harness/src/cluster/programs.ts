// How each program of a topology is started: its environment by the names that it documents.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Environment, Program, type ProgramOptions } from "../process/program.ts";
import { entries } from "../process/root.ts";
import type { BackendPlan, ControlPlan, ProxyPlan, RegionPlan, Topology } from "./topology.ts";

/** What all programs of one cluster share. */
export type Site = {
  readonly topology: Topology;
  /** pki/ and logs/ stand in it. */
  readonly dataDir: string;
  /** control/ID/, proxy/ID/, etcd/ stand in it. */
  readonly stateDir: string;
  /** How a region reaches a control plane; differs from its own address behind a relay. */
  readonly controlAddress: (fromRegion: string, plan: ControlPlan) => string;
  /** The setting of a control plane's store. */
  readonly store: (plan: ControlPlan) => string;
  readonly proxyEnvironment?: (region: RegionPlan) => Environment;
  readonly onUnexpectedExit?: (program: Program) => void;
};

export type ModelServing = { readonly models: readonly string[]; readonly speed: number };

export function controlProgram(site: Site, plan: ControlPlan): Program {
  const regions = site.topology.regions.map((each) => each.name);
  const servesAll = site.topology.controlPlanes.length === 1;
  return program(site, {
    name: plan.id,
    entry: entries.controlPlane,
    environment: {
      MERIDIAN_REGION: plan.region,
      MERIDIAN_ID: plan.id,
      MERIDIAN_LISTEN: loopback(plan.listenPort),
      MERIDIAN_OPS_LISTEN: loopback(plan.opsPort),
      MERIDIAN_STORE: site.store(plan),
      MERIDIAN_SERVES_REGIONS: servesAll ? regions.join(",") : plan.region,
      MERIDIAN_TLS_DIR: join(site.dataDir, "pki", `control-${plan.region}`),
    },
    readyUrl: `http://${loopback(plan.opsPort)}/readyz`,
  });
}

export function proxyProgram(site: Site, region: RegionPlan, plan: ProxyPlan): Program {
  return program(site, {
    name: plan.id,
    entry: entries.proxy,
    environment: {
      MERIDIAN_REGION: region.name,
      MERIDIAN_ID: plan.id,
      MERIDIAN_LISTEN: loopback(plan.clientPort),
      MERIDIAN_PEER_LISTEN: loopback(plan.peerPort),
      MERIDIAN_OPS_LISTEN: loopback(plan.opsPort),
      MERIDIAN_CONTROL: controlAddresses(site, region.name).join(","),
      MERIDIAN_DATA_DIR: folder(site.stateDir, "proxy", plan.id),
      MERIDIAN_TLS_DIR: join(site.dataDir, "pki", `proxy-${region.name}`),
      // A person who presses Ctrl-C, and a test that ends, do not wait ten minutes for live streams.
      MERIDIAN_DRAIN_MS: "3000",
      // A whole topology shares one machine.
      MERIDIAN_THREADS: "1",
      ...site.proxyEnvironment?.(region),
    },
    readyUrl: `http://${loopback(plan.opsPort)}/readyz`,
  });
}

export function backendProgram(site: Site, plan: BackendPlan, serving: ModelServing): Program {
  const models = serving.models.flatMap((each) => ["--model", each]);
  return program(site, {
    name: plan.name,
    entry: entries.modelSimulator,
    args: ["--port", String(plan.port), "--speed", String(serving.speed), ...models],
    readyUrl: `http://${loopback(plan.port)}/health`,
  });
}

/** Control planes for a region, its own first. */
export function controlAddresses(site: Site, region: string): readonly string[] {
  const own = site.topology.controlPlanes.filter((each) => each.region === region);
  const others = site.topology.controlPlanes.filter((each) => each.region !== region);
  return [...own, ...others].map((each) => site.controlAddress(region, each));
}

/** A folder, made if it is not there. */
export function folder(...parts: readonly string[]): string {
  const path = join(...parts);
  mkdirSync(path, { recursive: true });
  return path;
}

export function loopback(port: number): string {
  return `127.0.0.1:${port}`;
}

function program(site: Site, options: ProgramOptions): Program {
  const { onUnexpectedExit } = site;
  return new Program({
    ...options,
    logFile: join(folder(site.dataDir, "logs"), `${options.name}.log`),
    ...(onUnexpectedExit === undefined ? {} : { onUnexpectedExit }),
  });
}
