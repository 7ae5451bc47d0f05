// What a program holds: memory, sockets by whom they lead to, descriptors, timers, and the objects that leak first.
// From the kernel (proc(5)) and the inspector; the program itself knows nothing of it.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Inspector } from "@meridian/harness";

export type Footprint = {
  readonly heapBytes: number;
  /** Heap, and what lies beside it: buffers above all. */
  readonly heldBytes: number;
  readonly residentBytes: number;
  readonly clientSockets: number;
  readonly upstreamSockets: number;
  readonly descriptors: number;
  /** process.getActiveResourcesInfo(): what keeps the event loop alive. */
  readonly resources: number;
  /** Reachable objects of Node's classes; timers are those that run, unreferenced ones included. */
  readonly objects: { readonly [name in keyof typeof counted]: number };
};

export type Ports = { readonly clients: number; readonly upstreams: readonly number[] };

const builtin = (module: string) => `process.getBuiltinModule("node:${module}")`;

/** What one request has some of each. */
const counted = {
  timers: `(() => { const timer = setTimeout(() => {}, 0); clearTimeout(timer); return timer.constructor; })()`,
  sockets: `${builtin("net")}.Socket`,
  incomingMessages: `${builtin("http")}.IncomingMessage`,
  serverResponses: `${builtin("http")}.ServerResponse`,
  abortSignals: "AbortSignal",
} as const;

/** Collects garbage first. */
export async function takeFootprint(
  pid: number,
  ports: Ports,
  inspector: Inspector,
): Promise<Footprint> {
  // Finalizers of the first collection let go of more.
  for (let round = 0; round < 3; round++) await inspector.collectGarbage();
  const memory = await inspector.memory();
  const sockets = socketsOf(pid, ports);
  const resources = Number(await inspector.evaluate("process.getActiveResourcesInfo().length"));
  return {
    heapBytes: memory.heapUsed,
    heldBytes: memory.heapUsed + memory.external,
    residentBytes: memory.rss,
    clientSockets: sockets.clients,
    upstreamSockets: sockets.upstreams,
    descriptors: sockets.descriptors,
    resources,
    objects: await countObjects(inspector),
  };
}

/** More of anything that is counted, timers within what they may differ by; memory is judged elsewhere. */
export function holdsMore(later: Footprint, earlier: Footprint, moreTimers: number): boolean {
  const [after, before] = [later, earlier].map(({ objects, ...plain }, which) => [
    plain.clientSockets,
    plain.upstreamSockets,
    plain.descriptors,
    plain.resources,
    ...Object.values({ ...objects, timers: objects.timers + which * moreTimers }),
  ]);
  return after?.some((each, index) => each > (before?.[index] ?? 0)) === true;
}

export function socketsOf(
  pid: number,
  ports: Ports,
): { readonly clients: number; readonly upstreams: number; readonly descriptors: number } {
  const connections = connectionsByInode(pid);
  const upstreamPorts = new Set(ports.upstreams);
  let clients = 0;
  let upstreams = 0;
  const links = readdirSync(`/proc/${pid}/fd`).map((each) => linkOf(`/proc/${pid}/fd/${each}`));
  for (const link of links) {
    const connection = connections.get(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? "");
    if (connection === undefined) continue;
    if (connection.local === ports.clients) clients += 1;
    if (upstreamPorts.has(connection.remote)) upstreams += 1;
  }
  return { clients, upstreams, descriptors: links.length };
}

type Connection = { readonly local: number; readonly remote: number };

const listenState = "0A";

/** Connections of the program's network namespace; listening sockets are none. */
function connectionsByInode(pid: number): ReadonlyMap<string, Connection> {
  const [, ...rows] = readFileSync(`/proc/${pid}/net/tcp`, "utf8").trim().split("\n");
  const found = new Map<string, Connection>();
  for (const row of rows) {
    const [, local, remote, state, , , , , , inode] = row.trim().split(/\s+/);
    if (state === listenState || inode === undefined) continue;
    found.set(inode, { local: portOf(local), remote: portOf(remote) });
  }
  return found;
}

/** ADDRESS:PORT in hexadecimal digits. */
function portOf(address = ""): number {
  return Number.parseInt(address.split(":")[1] ?? "", 16);
}

/** A descriptor may be closed while they are listed. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

async function countObjects(inspector: Inspector): Promise<Footprint["objects"]> {
  return {
    timers: await inspector.countObjects(counted.timers, "(each) => !each._destroyed"),
    sockets: await inspector.countObjects(counted.sockets),
    incomingMessages: await inspector.countObjects(counted.incomingMessages),
    serverResponses: await inspector.countObjects(counted.serverResponses),
    abortSignals: await inspector.countObjects(counted.abortSignals),
  };
}
