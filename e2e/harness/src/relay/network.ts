// The relay's state: links with their listeners and live connections, distances, black holes.

import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Connection, openConnection } from "./connection.ts";
import { openDistances, type RoundTrip } from "./distance.ts";
import type { Admission } from "./lane.ts";
import type { LinkId, LinkOptions, LinkStats, Selector } from "./messages.ts";

/** Live connections of one link; more are refused by RST, as a full accept queue would. */
const connectionsMax = 20_000;

type Link = {
  readonly id: LinkId;
  readonly options: LinkOptions;
  readonly server: Server;
  readonly connections: Set<Connection>;
  accepted: number;
  cut: number;
  bytesUp: number;
  bytesDown: number;
  fuse: Fuse | undefined;
};

/** Bytes towards clients until its links are cut, and whom to tell then. */
type Fuse = { readonly links: readonly Link[]; bytes: number; readonly burnt: () => void };

export type Network = {
  /** Opens a listener; the port it got is the link's id. Fails when the port is taken. */
  readonly addLink: (options: LinkOptions) => Promise<LinkId>;
  readonly setDelay: (distance: RoundTrip) => void;
  readonly cut: (selector: Selector) => void;
  /** Settles once the links were cut, or healed before that. A link's new fuse takes the place of its old one. */
  readonly cutAfterBytes: (links: readonly LinkId[], bytes: number) => Promise<void>;
  readonly blackHole: (selector: Selector, on: boolean) => void;
  readonly heal: () => void;
  readonly stats: () => readonly LinkStats[];
  /** Ends all connections and listeners. */
  readonly close: () => void;
};

export function openNetwork(): Network {
  const links = new Map<LinkId, Link>();
  const distances = openDistances();
  const holes = new Map<string, Selector>();

  function accept(link: Link, client: Socket): void {
    if (link.connections.size >= connectionsMax) {
      client.resetAndDestroy();
      return;
    }
    link.accepted += 1;
    const connection = openConnection({
      client,
      link: link.options,
      placeOfPort: (port) => links.get(port)?.options.to,
      rttMs: (from) => distances.rttMs(from, link.options.to),
      isHeld: (from) => [...holes.values()].some((hole) => matches(hole, link, from)),
      admitUp: (bytes) => {
        link.bytesUp += bytes;
        return { bytes, exhausted: false };
      },
      admitDown: (bytes) => admitDown(link, bytes),
      onExhausted: () => burn(link),
      onClosed: () => link.connections.delete(connection),
    });
    link.connections.add(connection);
  }

  function reconsider(): void {
    for (const link of links.values()) {
      for (const connection of link.connections) connection.reconsider();
    }
  }

  return {
    addLink: async (options) => {
      const server = createServer({ allowHalfOpen: true, noDelay: true });
      const port = await listen(server, options.listenPort ?? 0);
      const link: Link = { id: port, options, server, ...emptyCounts() };
      links.set(port, link);
      server.on("connection", (client) => accept(link, client));
      return port;
    },
    setDelay: (distance) => distances.set(distance),
    cut: (selector) => {
      for (const link of links.values()) {
        cutConnections(link, (each) => matches(selector, link, each.from()));
      }
    },
    cutAfterBytes: (ids, bytes) => {
      const chosen = ids.map((id) => links.get(id));
      const known = chosen.filter((each) => each !== undefined);
      if (known.length < ids.length) return Promise.reject(new Error(`no such link: ${ids}`));
      for (const link of known) removeFuse(link.fuse);
      return new Promise((resolve) => {
        const fuse: Fuse = { links: known, bytes, burnt: resolve };
        for (const link of known) link.fuse = fuse;
      });
    },
    blackHole: (selector, on) => {
      if (on) holes.set(JSON.stringify(selector), selector);
      else holes.delete(JSON.stringify(selector));
      reconsider();
    },
    heal: () => {
      holes.clear();
      for (const link of links.values()) removeFuse(link.fuse);
      reconsider();
    },
    stats: () => [...links.values()].map(statsOf),
    close: () => {
      for (const link of links.values()) {
        link.server.close();
        cutConnections(link, () => true);
      }
    },
  };
}

function emptyCounts(): Omit<Link, "id" | "options" | "server"> {
  return {
    connections: new Set(),
    accepted: 0,
    cut: 0,
    bytesUp: 0,
    bytesDown: 0,
    fuse: undefined,
  };
}

function matches(selector: Selector, link: Link, from: string | undefined): boolean {
  const { to } = link.options;
  const { border } = selector;
  return (
    (selector.links === undefined || selector.links.includes(link.id)) &&
    (selector.from === undefined || selector.from === from) &&
    (selector.to === undefined || selector.to === to) &&
    (border === undefined || (from === border) !== (to === border))
  );
}

function admitDown(link: Link, bytes: number): Admission {
  const allowed = Math.min(bytes, link.fuse?.bytes ?? bytes);
  link.bytesDown += allowed;
  if (link.fuse === undefined) return { bytes, exhausted: false };
  link.fuse.bytes -= allowed;
  return { bytes: allowed, exhausted: link.fuse.bytes === 0 };
}

function burn(link: Link): void {
  const { fuse } = link;
  for (const each of fuse?.links ?? [link]) cutConnections(each, () => true);
  removeFuse(fuse);
}

function removeFuse(fuse: Fuse | undefined): void {
  for (const link of fuse?.links ?? []) link.fuse = undefined;
  fuse?.burnt();
}

function cutConnections(link: Link, chosen: (connection: Connection) => boolean): void {
  for (const connection of [...link.connections].filter(chosen)) {
    link.cut += 1;
    connection.reset();
  }
}

function statsOf(link: Link): LinkStats {
  const sources: { [place: string]: number } = {};
  for (const connection of link.connections) {
    const place = connection.from() ?? "?";
    sources[place] = (sources[place] ?? 0) + 1;
  }
  return {
    link: link.id,
    from: link.options.from,
    to: link.options.to,
    live: link.connections.size,
    accepted: link.accepted,
    cut: link.cut,
    bytesUp: link.bytesUp,
    bytesDown: link.bytesDown,
    sources,
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port }, () => {
      server.off("error", reject);
      // A listener on a host and a port has an address of this kind.
      resolve((server.address() as AddressInfo).port);
    });
  });
}
