// One direction of a relayed connection: what comes out of one socket goes into the other, later, in order.
// Bounded: at `laneBytesMax` in flight, or when the sink is full, the source is no longer read (back-pressure).

import type { Socket } from "node:net";

/** Bytes under way in one direction; far above 210 ms of anything that a test sends. */
export const laneBytesMax = 4 * 1024 * 1024;

type Parcel =
  | { readonly kind: "data"; readonly bytes: Buffer; readonly dueMs: number }
  | { readonly kind: "end" | "reset"; readonly dueMs: number };

/** How much of what is due may be delivered; `exhausted`: the budget ends here, nothing may follow. */
export type Admission = { readonly bytes: number; readonly exhausted: boolean };

export type LaneOptions = {
  readonly source: Socket;
  /** One way, asked for each parcel. */
  readonly delayMs: () => number;
  /** Sees bytes before they are taken in; returns those to carry. */
  readonly inspect?: (bytes: Buffer) => Buffer;
  readonly admit: (bytes: number) => Admission;
  /** Called once the last admitted byte was handed to the sink. */
  readonly onExhausted: () => void;
};

export type Lane = {
  /** Gives the lane its far end. Nothing is delivered before, nor before `notBeforeMs` (of performance.now). */
  readonly attach: (sink: Socket, notBeforeMs: number) => void;
  /** Held: bytes are taken in up to the bound, and stay. */
  readonly hold: (on: boolean) => void;
  /** Drops what is under way and ends the timer. Sockets are the caller's. */
  readonly close: () => void;
};

export function openLane(options: LaneOptions): Lane {
  const { source } = options;
  const parcels: Parcel[] = [];
  let bytesInFlight = 0;
  let lastDueMs = 0;
  let sink: Socket | undefined;
  let held = false;
  let closed = false;
  let sinkFull = false;
  let timer: NodeJS.Timeout | undefined;

  source.on("data", (bytes: Buffer) => {
    const carried = options.inspect?.(bytes) ?? bytes;
    if (carried.length > 0) take({ kind: "data", bytes: carried, dueMs: nextDueMs() });
  });
  source.on("end", () => take({ kind: "end", dueMs: nextDueMs() }));
  source.on("error", () => take({ kind: "reset", dueMs: nextDueMs() }));

  function nextDueMs(): number {
    lastDueMs = Math.max(lastDueMs, performance.now() + options.delayMs());
    return lastDueMs;
  }

  function take(parcel: Parcel): void {
    if (closed) return;
    parcels.push(parcel);
    if (parcel.kind === "data") bytesInFlight += parcel.bytes.length;
    if (bytesInFlight >= laneBytesMax) source.pause();
    deliver();
  }

  function deliver(): void {
    clearTimeout(timer);
    timer = undefined;
    while (!closed && !held && !sinkFull && sink !== undefined) {
      const next = parcels[0];
      if (next === undefined) return;
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0.5) {
        timer = setTimeout(deliver, Math.ceil(waitMs));
        return;
      }
      parcels.shift();
      hand(next, sink);
    }
  }

  function hand(parcel: Parcel, to: Socket): void {
    if (parcel.kind !== "data") {
      if (parcel.kind === "end") to.end();
      else resetSocket(to);
      return;
    }
    bytesInFlight -= parcel.bytes.length;
    if (to.destroyed) {
      // As TCP answers data for a socket that is gone.
      resetSocket(source);
      return;
    }
    const { bytes, exhausted } = options.admit(parcel.bytes.length);
    sinkFull = !to.write(parcel.bytes.subarray(0, bytes), () => {
      if (exhausted) options.onExhausted();
    });
    if (exhausted) close();
    else if (bytesInFlight < laneBytesMax) source.resume();
  }

  function close(): void {
    closed = true;
    parcels.length = 0;
    bytesInFlight = 0;
    clearTimeout(timer);
  }

  return {
    attach: (to, notBeforeMs) => {
      sink = to;
      lastDueMs = Math.max(lastDueMs, notBeforeMs);
      // What came in early waits for the line to be there, as it would on the client's side of a handshake.
      for (const [index, parcel] of parcels.entries()) {
        if (parcel.dueMs < notBeforeMs) parcels[index] = { ...parcel, dueMs: notBeforeMs };
      }
      to.on("drain", () => {
        sinkFull = false;
        deliver();
      });
      deliver();
    },
    hold: (on) => {
      held = on;
      deliver();
    },
    close,
  };
}

/** Ends a socket by RST, so that its other end sees ECONNRESET. */
export function resetSocket(socket: Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy();
}
