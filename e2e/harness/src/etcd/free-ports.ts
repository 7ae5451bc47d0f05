// Ports that are free now, from below the range that the kernel hands out for outgoing connections: a program that is
// killed and started again on its port does not find it taken by somebody's client socket.

import { createServer } from "node:net";

const lowest = 20_000;
const highest = 32_000;
const attemptsMax = 500;

/**
 * Distinct ports on loopback that nobody listened on a moment ago. Another process may take one before it is used:
 * who starts a program on it tries again with new ones.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>();
  for (let attempt = 0; attempt < attemptsMax && found.size < count; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  if (found.size < count)
    throw new Error(`found no ${count} free ports from ${lowest} to ${highest}`);
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port }, () => server.close(() => resolve(true)));
  });
}
