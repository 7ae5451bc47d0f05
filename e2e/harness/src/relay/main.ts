// The relay as a program: TCP links between places on loopback, with distance, cuts and black holes, steered over the
// IPC channel of its parent. A process of its own, so that a busy test does not stretch the delays. Ends with its parent.

import { type Reply, type Request, readRequest } from "./messages.ts";
import { openNetwork } from "./network.ts";

if (process.send === undefined) {
  console.error(
    "relay: started without an IPC channel; it is started by startRelay() of @meridian/harness",
  );
  process.exit(2);
}
process.on("disconnect", () => process.exit(0));

const network = openNetwork();

process.on("message", (message) => {
  const request = readRequest(message);
  if (request === undefined) return;
  carryOut(request).then(
    (value) => reply({ id: request.id, kind: "done", value }),
    (cause: unknown) => reply({ id: request.id, kind: "failed", message: String(cause) }),
  );
});

async function carryOut(request: Request): Promise<unknown> {
  switch (request.command) {
    case "addLink":
      return network.addLink(request.options);
    case "setDelay":
      network.setDelay(request.distance);
      return null;
    case "cut":
      network.cut(request.selector);
      return null;
    case "cutAfterBytes":
      await network.cutAfterBytes(request.links, request.bytes);
      return null;
    case "blackHole":
      network.blackHole(request.selector, request.on);
      return null;
    case "heal":
      network.heal();
      return null;
    case "stats":
      return network.stats();
    default:
      throw new Error(`unknown command: ${JSON.stringify(request)}`);
  }
}

function reply(message: Reply): void {
  // The parent may be gone already; then "disconnect" ends the process.
  if (process.connected) process.send?.(message);
}
