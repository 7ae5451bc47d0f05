// Starts the relay's program and steers it. One relay serves all links of a test.

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type RoundTrip, regionDistances } from "./distance.ts";
import {
  type Command,
  type LinkId,
  type LinkOptions,
  type LinkStats,
  readReply,
  type Selector,
} from "./messages.ts";

/** A listener on loopback that leads to a target, over a distance. */
export type Link = { readonly id: LinkId; readonly host: string; readonly port: number };

/**
 * A network between places. Half of a pair's round trip is added in each direction, order and back-pressure are kept,
 * and a new connection costs the round trip of its handshake.
 */
export type Relay = {
  /** Opens a link. Rejects when `listenPort` is taken. */
  readonly addLink: (options: LinkOptions) => Promise<Link>;
  /** Sets the round trip between two places; connections feel it at once. */
  readonly setDelay: (from: string, to: string, rttMs: number) => Promise<void>;
  /** Ends live connections by RST, all or the selected ones. New ones are let in. */
  readonly cut: (selector: Selector | "all") => Promise<void>;
  /**
   * Resets the links once that many more bytes, over all of them together, went from targets to clients, to the byte.
   * Resolves when that has happened, or when `heal` took the fuse away. A link has one fuse: a new one takes the place
   * of the old one.
   */
  readonly cutAfterBytes: (links: Link | readonly Link[], bytes: number) => Promise<void>;
  /** On: sockets stay open, nothing flows, new connections are accepted and stay silent. Off: what waited flows. */
  readonly blackHole: (selector: Selector, on: boolean) => Promise<void>;
  /** Ends all black holes and fuses. */
  readonly heal: () => Promise<void>;
  readonly stats: () => Promise<readonly LinkStats[]>;
  /** Ends the program. */
  readonly close: () => Promise<void>;
};

export type RelayOptions = {
  /** Default: the distances between the three regions, `regionDistances`. */
  readonly distances?: readonly RoundTrip[];
};

type Waiter = {
  readonly resolve: (value: unknown) => void;
  readonly reject: (cause: Error) => void;
};

/** @example const relay = await startRelay(); const link = await relay.addLink({ from: "us-east", to: "eu-west", target }); */
export async function startRelay(options: RelayOptions = {}): Promise<Relay> {
  const child = fork(fileURLToPath(new URL("./main.ts", import.meta.url)), {
    execArgv: [],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const waiters = new Map<number, Waiter>();
  let lastId = 0;
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => {
      for (const waiter of waiters.values()) waiter.reject(new Error("the relay has ended"));
      waiters.clear();
      resolve();
    });
  });
  child.on("message", (message) => {
    const reply = readReply(message);
    if (reply === undefined) return;
    const waiter = waiters.get(reply.id);
    waiters.delete(reply.id);
    if (reply.kind === "done") waiter?.resolve(reply.value);
    else waiter?.reject(new Error(reply.message));
  });

  function ask(command: Command): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!child.connected) {
        reject(new Error("the relay has ended"));
        return;
      }
      lastId += 1;
      waiters.set(lastId, { resolve, reject });
      child.send({ ...command, id: lastId });
    });
  }
  async function tell(command: Command): Promise<void> {
    await ask(command);
  }

  const relay: Relay = {
    addLink: async (link) => {
      // addLink answers the port, which is the link's id.
      const port = (await ask({ command: "addLink", options: link })) as number;
      return { id: port, host: "127.0.0.1", port };
    },
    setDelay: (from, to, rttMs) => tell({ command: "setDelay", distance: { from, to, rttMs } }),
    cut: (selector) => tell({ command: "cut", selector: selector === "all" ? {} : selector }),
    cutAfterBytes: (links, bytes) =>
      tell({ command: "cutAfterBytes", links: [links].flat().map((link) => link.id), bytes }),
    blackHole: (selector, on) => tell({ command: "blackHole", selector, on }),
    heal: () => tell({ command: "heal" }),
    // stats answers a list of this shape.
    stats: async () => (await ask({ command: "stats" })) as readonly LinkStats[],
    close: async () => {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
  for (const each of options.distances ?? regionDistances) {
    await relay.setDelay(each.from, each.to, each.rttMs);
  }
  return relay;
}
