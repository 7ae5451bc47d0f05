// One relayed connection: a client's socket, the target's socket, and a lane each way.
// A connection passes three doors before bytes flow: its source is known, nothing black-holes it, the target answered.

import { connect, type Socket } from "node:net";
import { type Admission, type Lane, openLane, resetSocket } from "./lane.ts";
import type { LinkOptions } from "./messages.ts";
import { openPeerSource } from "./peer-source.ts";

export type ConnectionOptions = {
  readonly client: Socket;
  readonly link: LinkOptions;
  /** Which place has a listener on this port; undefined when none has. */
  readonly placeOfPort: (port: number) => string | undefined;
  readonly rttMs: (from: string | undefined) => number;
  readonly isHeld: (from: string | undefined) => boolean;
  readonly admitUp: (bytes: number) => Admission;
  readonly admitDown: (bytes: number) => Admission;
  readonly onExhausted: () => void;
  readonly onClosed: () => void;
};

export type Connection = {
  readonly from: () => string | undefined;
  /** To be called when black holes were made or healed. */
  readonly reconsider: () => void;
  /** Ends both sides at once by RST. */
  readonly reset: () => void;
};

export function openConnection(options: ConnectionOptions): Connection {
  const { client, link } = options;
  let from = link.from;
  let identified = from !== undefined;
  let server: Socket | undefined;
  let down: Lane | undefined;
  let isOver = false;
  let isSettled = false;
  const peer = openPeerSource();

  client.setNoDelay(true);
  const up = openLane({
    source: client,
    delayMs: () => options.rttMs(from) / 2,
    inspect: (bytes) => (link.from === undefined ? identify(bytes) : bytes),
    admit: options.admitUp,
    onExhausted: options.onExhausted,
  });
  // Once dialled, the other side learns of an end by the lane's last parcel. Before, there is nobody to tell.
  client.on("end", () => {
    if (server === undefined) finish();
  });
  client.on("close", () => {
    if (server === undefined || server.destroyed) finish();
  });
  reconsider();

  function identify(bytes: Buffer): Buffer {
    if (isSettled) return bytes;
    const sighting = peer.read(bytes);
    isSettled = sighting.settled;
    for (const port of sighting.ports) from ??= options.placeOfPort(port);
    if (sighting.forward.length > 0) {
      identified = true;
      // Before the bytes are handed on: a black hole for this source must catch them.
      reconsider();
    }
    return sighting.forward;
  }

  function reconsider(): void {
    const held = options.isHeld(from);
    up.hold(held);
    down?.hold(held);
    if (!held && identified && server === undefined && !isOver) dial();
  }

  function dial(): void {
    // The target's listener is on loopback, but the handshake would have taken a round trip.
    const readyMs = performance.now() + options.rttMs(from);
    const target = connect({ ...link.target, allowHalfOpen: true, noDelay: true });
    server = target;
    down = openLane({
      source: target,
      delayMs: () => options.rttMs(from) / 2,
      admit: options.admitDown,
      onExhausted: options.onExhausted,
    });
    down.attach(client, readyMs);
    target.on("connect", () => up.attach(target, readyMs + options.rttMs(from) / 2));
    target.on("close", () => {
      if (client.destroyed) finish();
    });
  }

  function reset(): void {
    resetSocket(client);
    if (server !== undefined) resetSocket(server);
    finish();
  }

  function finish(): void {
    if (isOver) return;
    isOver = true;
    up.close();
    down?.close();
    client.destroy();
    server?.destroy();
    options.onClosed();
  }

  return { from: () => from, reconsider, reset };
}
