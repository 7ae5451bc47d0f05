// Opens one pair of ports for all listener threads: the system spreads connections over the threads' sockets.

import { once } from "node:events";
import { createServer } from "node:net";
import type { Address } from "@meridian/proto/base";
import { parseAddress } from "@meridian/proto/base";
import { ListenError, listenAll, listenOn } from "../lifecycle.ts";
import type { Settings } from "../settings.ts";
import type { FromThread, ToThread } from "./messages.ts";

export type SharedPortsOptions = {
  readonly threads: number;
  readonly settings: Pick<Settings, "listen" | "peerListen">;
  readonly say: (thread: number, message: ToThread) => void;
};

type Word = Extract<FromThread, { kind: "listening" | "not-listening" }>;

export class SharedPorts {
  readonly #options: SharedPortsOptions;
  readonly #waiting = new Map<number, (word: Word) => void>();

  constructor(options: SharedPortsOptions) {
    this.#options = options;
  }

  /** The first thread takes the ports, any free ones where that is asked; the others join it. */
  async open(): Promise<{ readonly [name: string]: string }> {
    const { threads } = this.#options;
    const { listen, peerListen } = this.#options.settings;
    await assertFree({ listen, peerListen });
    const used = await this.#open(0, { listen, peerListen });
    const same = {
      listen: parseAddress(used.clients) ?? listen,
      peerListen: parseAddress(used.peers) ?? peerListen,
    };
    const others = Array.from({ length: threads - 1 }, (_, place) => this.#open(place + 1, same));
    await Promise.all(others);
    return used;
  }

  heard(thread: number, word: Word): void {
    this.#waiting.get(thread)?.(word);
    this.#waiting.delete(thread);
  }

  #open(
    thread: number,
    addresses: { readonly listen: Address; readonly peerListen: Address },
  ): Promise<{ readonly clients: string; readonly peers: string }> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(thread, (word) => {
        if (word.kind === "not-listening") reject(new ListenError(word.message));
        else resolve({ clients: word.clients, peers: word.peers });
      });
      this.#options.say(thread, { kind: "listen", ...addresses });
    });
  }
}

/**
 * Sockets that share a port would join another program's that shares it too, and get half of its connections. A
 * socket that does not share is refused there, as it is by one thread: it goes first, and is closed at once.
 */
async function assertFree(addresses: SharedPortsOptions["settings"]): Promise<void> {
  const ports = [
    { name: "clients", flag: "--listen", address: addresses.listen },
    { name: "peers", flag: "--peer-listen", address: addresses.peerListen },
  ];
  for (const port of ports) {
    if (port.address.port === 0) continue;
    const server = createServer();
    await listenAll([{ ...port, listen: listenOn(server) }]);
    server.close();
    await once(server, "close");
  }
}
