// Ports that are free now and that no other process of ours will be given, from below the range that the kernel hands
// out for outgoing connections: a program that is killed and started again finds its port as it left it.
//
// Tests run in several processes at once, and a port that was free when one looked is taken when its program wants it,
// or worse, answered by another's program. So each process has blocks of ports to itself: who listens on a block's
// first port owns the block. The kernel ends the ownership with the process, whatever ends that.

import { createServer } from "node:net";

const lowest = 20_000;
const blockPorts = 100;
const blocks = 120;

/** Of the blocks that this process owns, those not given out yet. */
let unused: number[] = [];
let searching: Promise<void> = Promise.resolve();

/** Distinct ports on loopback that nobody listens on; each is given out once in a process. Throws when none is left. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = unused.pop();
    if (port === undefined) await ownAnotherBlock();
    else if (await isFree(port)) found.push(port);
  }
  return found;
}

/** One search at a time, or two callers would each take a block where one is enough. */
async function ownAnotherBlock(): Promise<void> {
  searching = searching.then(async () => {
    if (unused.length === 0) unused = await findBlock();
  });
  await searching;
}

async function findBlock(): Promise<number[]> {
  const first = Math.floor(Math.random() * blocks);
  for (let step = 0; step < blocks; step++) {
    const start = lowest + ((first + step) % blocks) * blockPorts;
    if (await own(start)) {
      return Array.from({ length: blockPorts - 1 }, (_, index) => start + blockPorts - 1 - index);
    }
  }
  throw new Error(`all ${blocks} blocks of ports from ${lowest} on are in use`);
}

/** true: this process listens on the port now, until it ends. Nobody is meant to connect. */
function own(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port }, () => {
      server.unref();
      resolve(true);
    });
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port }, () => server.close(() => resolve(true)));
  });
}
