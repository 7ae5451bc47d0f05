// What the relay's program and its client say to each other: JSON, one message a line, over the child's IPC channel.

import type { RoundTrip } from "./distance.ts";

export type LinkId = number;

/** A place to connect to; everything listens on loopback. */
export type Target = { readonly host: string; readonly port: number };

export type LinkOptions = {
  /**
   * Where connections come from. Left out: learnt from each connection's first etcd peer request (`X-PeerURLs`),
   * because an etcd member advertises one peer address to all others.
   */
  readonly from?: string;
  readonly to: string;
  readonly target: Target;
  /** 0 or left out: any free port. */
  readonly listenPort?: number;
};

/** Which connections are meant: those for which everything given holds. Nothing given: all. */
export type Selector = {
  readonly links?: readonly LinkId[];
  readonly from?: string;
  readonly to?: string;
  /** Connections with exactly one end in this place. */
  readonly border?: string;
};

export type LinkStats = {
  readonly link: LinkId;
  readonly from: string | undefined;
  readonly to: string;
  readonly live: number;
  readonly accepted: number;
  /** Connections reset by `cut` or `cutAfterBytes`. */
  readonly cut: number;
  /** Bytes delivered to the target, and back from it. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Live connections by where they were found to come from; "?" for those not known (yet). */
  readonly sources: { readonly [place: string]: number };
};

export type Command =
  | { readonly command: "addLink"; readonly options: LinkOptions }
  | { readonly command: "setDelay"; readonly distance: RoundTrip }
  | { readonly command: "cut"; readonly selector: Selector }
  | { readonly command: "cutAfterBytes"; readonly links: readonly LinkId[]; readonly bytes: number }
  | { readonly command: "blackHole"; readonly selector: Selector; readonly on: boolean }
  | { readonly command: "heal" }
  | { readonly command: "stats" };

export type Request = { readonly id: number } & Command;

/** `value` is what the command answers: a number for addLink (the port), LinkStats for stats, else null. */
export type Reply =
  | { readonly id: number; readonly kind: "done"; readonly value: unknown }
  | { readonly id: number; readonly kind: "failed"; readonly message: string };

/** undefined when it is no request. Both ends are one package, so the envelope alone is checked. */
export function readRequest(message: unknown): Request | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  if (!("id" in message) || !("command" in message)) return undefined;
  if (typeof message.id !== "number" || typeof message.command !== "string") return undefined;
  // The client of this package wrote it; an unknown command is refused where it is carried out.
  return message as Request;
}

/** undefined when it is no reply. */
export function readReply(message: unknown): Reply | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  if (!("id" in message) || typeof message.id !== "number") return undefined;
  if (!("kind" in message)) return undefined;
  // The program of this package wrote it.
  return message.kind === "done" || message.kind === "failed" ? (message as Reply) : undefined;
}
