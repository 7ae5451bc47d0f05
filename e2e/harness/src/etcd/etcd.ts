// A real etcd of one or three members on loopback; behind a relay its members and clients are as far apart as regions.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Selector } from "../relay/messages.ts";
import type { Link, Relay } from "../relay/relay.ts";
import { memberFlags } from "./flags.ts";
import { freePorts } from "./free-ports.ts";
import { isHealthy, transferLeadership } from "./gateway.ts";
import { type MemberProcess, openMemberProcess } from "./member.ts";
import { type EtcdProgram, findEtcd } from "./program.ts";

export type EtcdOptions = {
  readonly members: 1 | 3;
  /** One for each member; distinct behind a relay. Default: us-east, eu-west, ap-south. */
  readonly regions?: readonly string[];
  /** Where clients come from. Default: the members' regions. */
  readonly clientRegions?: readonly string[];
  /** Members reach each other, and clients reach members, through it. */
  readonly relay?: Relay;
  /** Kept at the end when given; else a temporary folder. */
  readonly dataDir?: string;
  /** Folder for the members' logs, which stay there. Default: inside the data folder. */
  readonly logDir?: string;
  /** Hears what takes long. */
  readonly log?: (line: string) => void;
};

export type EtcdMember = Pick<
  MemberProcess,
  "start" | "kill" | "pause" | "resume" | "isRunning" | "logTail"
> & {
  readonly name: string;
  readonly region: string;
  /** Its client address, past every relay. */
  readonly directUrl: string;
  /** Resolves when it serves with a quorum; rejects after the deadline with the end of its log. */
  readonly ready: (timeoutMs?: number) => Promise<void>;
  /** Behind a relay: cuts it off from the other members, both ways, sockets open. Clients still reach it. */
  readonly isolate: (on: boolean) => Promise<void>;
  /** Behind a relay: nothing flows to or from it, clients included, sockets open. */
  readonly blackHole: (on: boolean) => Promise<void>;
};

export type Etcd = {
  readonly members: readonly EtcdMember[];
  /** By index; throws when there is none. */
  readonly member: (index: number) => EtcdMember;
  /** http addresses for clients of a region: its own member first, the others in order; through the relay if any. */
  readonly endpoints: (region: string) => readonly string[];
  /** The relay's link from clients of a region to a member; throws without a relay. */
  readonly clientLink: (region: string, member: number) => Link;
  /** Makes a member the leader. */
  readonly lead: (member: number) => Promise<void>;
  /** Ends all members and removes temporary data. */
  readonly stop: () => Promise<void>;
};

const defaultRegions = ["us-east", "eu-west", "ap-south"];
const readyTimeoutMs = 60_000;
const startAttempts = 3;

/**
 * Starts etcd and waits until every member serves. The first member leads: how long a commit takes is a matter of where
 * the leader is (multiregion 2.1), and moving it later costs the requests under way.
 *
 * @example const etcd = await startEtcd({ members: 3, relay: await startRelay() });
 *          openStore(etcd.endpoints("eu-west"));
 */
export async function startEtcd(options: EtcdOptions): Promise<Etcd> {
  const program = await findEtcd(options.log ?? console.error);
  for (let attempt = 1; ; attempt++) {
    const etcd = await assemble(options, program);
    try {
      await Promise.all(etcd.members.map((member) => member.start()));
      await Promise.all(etcd.members.map((member) => member.ready()));
      await etcd.lead(0);
      return etcd;
    } catch (cause) {
      const logs = etcd.members.map((member) => member.logTail()).join("\n");
      await etcd.stop();
      // A port was free when we looked and taken when etcd wanted it.
      const isClash = logs.includes("address already in use");
      if (!isClash || attempt === startAttempts) throw cause;
    }
  }
}

type Seat = {
  readonly index: number;
  readonly name: string;
  readonly region: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly peerLink: Link | undefined;
  /** By the clients' region. */
  readonly clientLinks: ReadonlyMap<string, Link>;
};

async function assemble(options: EtcdOptions, program: EtcdProgram): Promise<Etcd> {
  const { relay } = options;
  const seats = await takeSeats(options);
  const root = options.dataDir ?? mkdtempSync(join(tmpdir(), "meridian-etcd-"));
  const logDir = options.logDir ?? root;
  for (const folder of [root, logDir]) mkdirSync(folder, { recursive: true, mode: 0o700 });

  const cluster = seats.map((seat) => `${seat.name}=${peerUrl(seat)}`).join(",");
  const peerLinks = seats.flatMap((seat) =>
    seat.peerLink === undefined ? [] : [seat.peerLink.id],
  );
  const members = seats.map((seat): EtcdMember => {
    const flags = memberFlags(
      {
        name: seat.name,
        dataDir: join(root, seat.name),
        clientUrl: loopback(seat.clientPort),
        peerListenUrl: loopback(seat.peerPort),
        peerUrl: peerUrl(seat),
        cluster,
        token: `meridian-${seats.map((each) => each.peerPort).join("-")}`,
        isDelayed: relay !== undefined,
      },
      program.version,
    );
    const logFile = join(logDir, `${seat.name}.log`);
    const process = openMemberProcess({ program: program.path, flags, logFile });
    return openMember({ seat, process, relay, peerLinks });
  });

  return {
    members,
    member: (index) => at(members, index),
    endpoints: (region) => endpointsFrom(seats, region),
    clientLink: (region, member) => {
      const link = at(seats, member).clientLinks.get(region);
      if (link === undefined)
        throw new Error(`no relayed link leads from ${region} to member ${member}`);
      return link;
    },
    lead: (member) =>
      transferLeadership({
        urls: members.filter((each) => each.isRunning()).map((each) => each.directUrl),
        target: at(members, member).directUrl,
      }),
    stop: async () => {
      await Promise.all(members.map((member) => member.kill()));
      if (options.dataDir === undefined) rmSync(root, { recursive: true, force: true });
    },
  };
}

async function takeSeats(options: EtcdOptions): Promise<readonly Seat[]> {
  const { relay } = options;
  const regions = (options.regions ?? defaultRegions).slice(0, options.members);
  if (regions.length < options.members) throw new Error("name a region for each etcd member");
  if (relay !== undefined && new Set(regions).size < regions.length) {
    throw new Error("behind a relay each etcd member needs a region of its own");
  }
  const ports = await freePorts(2 * options.members);
  const clientRegions = options.clientRegions ?? regions;
  return Promise.all(
    regions.map(async (region, index) => {
      const clientPort = at(ports, 2 * index);
      const peerPort = at(ports, 2 * index + 1);
      const clientLinks = new Map<string, Link>();
      for (const from of relay === undefined ? [] : clientRegions) {
        const link = await relay?.addLink({ from, to: region, target: target(clientPort) });
        if (link !== undefined) clientLinks.set(from, link);
      }
      const peerLink = await relay?.addLink({ to: region, target: target(peerPort) });
      const name = `etcd-${index}-${region}`;
      return { index, name, region, clientPort, peerPort, peerLink, clientLinks };
    }),
  );
}

type MemberParts = {
  readonly seat: Seat;
  readonly process: MemberProcess;
  readonly relay: Relay | undefined;
  readonly peerLinks: readonly number[];
};

function openMember({ seat, process, relay, peerLinks }: MemberParts): EtcdMember {
  const directUrl = loopback(seat.clientPort);

  async function hole(selectors: readonly Selector[], on: boolean): Promise<void> {
    if (relay === undefined) throw new Error("only a relay can cut an etcd member off");
    for (const selector of selectors) await relay.blackHole(selector, on);
  }
  const peers: readonly Selector[] = [
    { links: peerLinks, to: seat.region },
    { links: peerLinks, from: seat.region },
  ];
  const clients: Selector = { links: [...seat.clientLinks.values()].map((link) => link.id) };

  return {
    name: seat.name,
    region: seat.region,
    directUrl,
    start: process.start,
    kill: process.kill,
    pause: process.pause,
    resume: process.resume,
    isRunning: process.isRunning,
    logTail: process.logTail,
    ready: (timeoutMs = readyTimeoutMs) => waitUntilReady(process, { directUrl, timeoutMs }),
    isolate: (on) => hole(peers, on),
    blackHole: (on) => hole([...peers, clients], on),
  };
}

async function waitUntilReady(
  process: MemberProcess,
  options: { readonly directUrl: string; readonly timeoutMs: number },
): Promise<void> {
  const deadlineMs = performance.now() + options.timeoutMs;
  while (!(await isHealthy(options.directUrl))) {
    const isLate = performance.now() > deadlineMs;
    if (isLate || !process.isRunning()) {
      const what = isLate ? `is not ready after ${options.timeoutMs} ms` : "has ended";
      throw new Error(
        `etcd at ${options.directUrl} ${what}; the end of its log:\n${process.logTail()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function endpointsFrom(seats: readonly Seat[], region: string): readonly string[] {
  const own = seats.filter((seat) => seat.region === region);
  const others = seats.filter((seat) => seat.region !== region);
  return [...own, ...others].map((seat) =>
    loopback(seat.clientLinks.get(region)?.port ?? seat.clientPort),
  );
}

function peerUrl(seat: Seat): string {
  return loopback(seat.peerLink?.port ?? seat.peerPort);
}

function loopback(port: number): string {
  return `http://127.0.0.1:${port}`;
}

function target(port: number): { readonly host: string; readonly port: number } {
  return { host: "127.0.0.1", port };
}

function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new Error(`there is no number ${index} of ${list.length}`);
  return found;
}
