// How the program listens, ends by a signal, and never outlives the one who started it.

import type { AddressInfo, Server } from "node:net";
import { type Address, assert } from "@meridian/proto/base";
import type { FastifyInstance } from "fastify";

/** What listens: a Node server, or a Fastify app by its own method. */
export type Listener = {
  /** For people: clients, peers, ops. */
  readonly name: string;
  /** The setting that moves it elsewhere. */
  readonly flag: string;
  readonly address: Address;
  readonly listen: (address: Address) => Promise<AddressInfo>;
};

/** An address can't be used; the message is one line with the way out. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

/** Opens all, in order; name → the address in use, as port 0 takes any free one. */
export async function listenAll(
  listeners: readonly Listener[],
): Promise<{ readonly [name: string]: string }> {
  const used: { [name: string]: string } = {};
  for (const { address, flag, listen, name } of listeners) {
    try {
      const { port } = await listen(address);
      used[name] = `${address.host}:${port}`;
    } catch (cause) {
      throw new ListenError(explain({ address, flag, name }, cause), { cause });
    }
  }
  return used;
}

/** A plain Node server in the form of a listener's `listen`. */
export function listenOn(server: Server): Listener["listen"] {
  return ({ host, port }) =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      // A server that listens on host and port has an AddressInfo.
      server.listen(port, host, () => resolve(server.address() as AddressInfo));
    });
}

/** A Fastify app in the form of a listener's `listen`. With `reusePort` other threads may listen there too. */
export function listenApp(
  app: FastifyInstance | undefined,
  reusePort: boolean,
): Listener["listen"] {
  return async (address) => {
    assert(app !== undefined, "a proxy with a certificate has both servers");
    // Fastify hands Node's own options on, and names but some of them in its type.
    const options = { host: address.host, port: address.port, ...(reusePort && { reusePort }) };
    await app.listen(options);
    // As above.
    return app.server.address() as AddressInfo;
  };
}

/**
 * The first SIGTERM or SIGINT calls `stop`, whose end is the program's; the second ends it at once, and so does the
 * end of the parent that holds the other side of an IPC channel.
 */
export function endBySignal(stop: (signal: string) => Promise<void>): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    stop(signal).then(
      () => process.exit(0),
      (cause: unknown) => {
        process.stderr.write(`stopping failed: ${String(cause)}\n`);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  if (process.channel !== undefined) process.on("disconnect", () => process.exit(0));
}

/** Resolves when the promise does, or after so many milliseconds; true: it did in time. */
export async function within(ms: number, done: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const inTime = await Promise.race([done.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}

function explain(
  what: { readonly address: Address; readonly flag: string; readonly name: string },
  cause: unknown,
): string {
  const place = `${what.address.host}:${what.address.port} (for ${what.name})`;
  // Node's system errors carry a code.
  const { code } = cause as NodeJS.ErrnoException;
  const wayOut = `choose another with ${what.flag} HOST:PORT`;
  if (code === "EADDRINUSE") return `${place} is taken: end what listens there, or ${wayOut}`;
  return `${place} can't be listened on: ${String(cause)}; ${wayOut}`;
}
