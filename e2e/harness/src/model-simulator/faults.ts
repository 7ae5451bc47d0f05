// Faults that are switched on over HTTP: which of them meets a connection or a request. Pure.

import { err, ok, type Random, type Result } from "@meridian/proto/base";
import { isObject } from "./surface.ts";

/** Faults of a port, whatever is asked there. They need --control-port: nobody could take them back otherwise. */
const portKinds = [
  // Nothing listens on the port any more until the fault is taken back.
  "refuse",
  // A connection is taken and closed at once.
  "close-at-connect",
  // A connection and a request are taken; the body is not read, and nothing is ever said.
  "black-hole",
] as const;

/** Faults without a parameter of their own. */
const plainKinds = [
  // The second request on a connection finds it closed, as when a server's keep-alive ends just then.
  "close-when-reused",
  "reset-before-headers",
  "stall-before-headers",
  "reset-after-headers",
  // Headers and a clean end, nothing between.
  "empty-stream",
  // The same with `content-length: 0`.
  "empty-body",
  // A proper answer without a word in it.
  "empty-content",
  // A proper answer with other words than the model has for this prompt: what only somebody who knows them notices.
  "other-words",
  // Status 200 with an error object.
  "error-body",
  // 200 with an HTML page.
  "wrong-content-type",
  // A whole JSON answer to a request for a stream.
  "whole-answer",
  // All there but the protocol's sentinel: legal after a finish reason.
  "no-sentinel",
  // The connection is reset after the finish reason, before the sentinel.
  "reset-after-finish",
  // No usage, though it was asked for.
  "no-usage",
] as const;

/**
 * Faults after so many tokens. 0: the frames before the first token are sent; "headers": nothing but the head is.
 * Without streaming the body is sent up to there.
 */
const tokenKinds = [
  "reset-at-token",
  // A clean end of the response without the protocol's sentinel.
  "end-at-token",
  // A clean end within a frame.
  "end-in-frame-at-token",
  // The connection stays open and says nothing more.
  "stall-at-token",
  // As stall, but comments, pings and role-only deltas go on.
  "pings-at-token",
  // The protocol's own error, in the stream.
  "error-at-token",
  "malformed-at-token",
  // One frame beyond what anybody reads.
  "oversize-at-token",
] as const;

type PortKind = (typeof portKinds)[number];
type PlainKind = (typeof plainKinds)[number];
type TokenKind = (typeof tokenKinds)[number];

/** A fault within an answer. */
export type TokenFault = { readonly kind: TokenKind; readonly token: number | "headers" };

export type Fault =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly retryAfterSeconds?: number;
      /** The `code` of the error object. */
      readonly code?: string;
    }
  | { readonly kind: PortKind | PlainKind }
  | TokenFault
  | { readonly kind: "slow"; readonly factor: number }
  /** The response leaves in pieces of so many bytes. */
  | { readonly kind: "trickle"; readonly bytes: number; readonly everyMs: number };

/** A fault with what it meets. */
export type FaultRule = {
  readonly fault: Fault;
  /** 0 to 1; default 1. */
  readonly share: number;
  /** So many times, then the rule is gone; undefined: until it is taken back. */
  readonly count: number | undefined;
  /** Only requests for this model. */
  readonly model: string | undefined;
  /** Only what comes to this port. */
  readonly port: number | undefined;
};

/** More rules than this are refused. */
export const rulesMax = 256;

/** A frame of this size is more than any reader takes: it comes in pieces, of which the last one may be let through. */
export const oversizeBytes = 1_500_000;

/** It concerns a port as such, and can be taken back only over another one. */
export function isPortFault(fault: Fault): boolean {
  return portKinds.some((each) => each === fault.kind);
}

/** The fault comes at a place within the answer. */
export function isTokenFault(fault: Fault | undefined): fault is TokenFault {
  return fault !== undefined && "token" in fault;
}

/**
 * One rule from JSON, every complaint at once.
 *
 * @example parseFaultRule({ kind: "status", status: 503, retryAfterSeconds: 2, share: 0.5, count: 10 })
 */
export function parseFaultRule(value: unknown): Result<FaultRule, readonly string[]> {
  if (!isObject(value)) return err(["a fault is an object with a kind"]);
  const wrong: string[] = [];
  const share = number(value.share ?? 1, "share", [0, 1], wrong);
  const optional = (name: string, range: readonly [number, number]) =>
    value[name] === undefined ? undefined : number(value[name], name, range, wrong);
  const count = optional("count", [1, 1e9]);
  const port = optional("port", [1, 65_535]);
  const model = value.model === undefined ? undefined : String(value.model);
  const fault = parseFault(value, wrong);
  if (fault !== undefined && isPortFault(fault) && model !== undefined) {
    wrong.push(`${fault.kind} meets a port, not a model: leave "model" out, say "port"`);
  }
  return fault === undefined || wrong.length > 0
    ? err(wrong)
    : ok({ fault, share, count, model, port });
}

type Fields = { readonly [name: string]: unknown };

function parseFault(value: Fields, wrong: string[]): Fault | undefined {
  const { kind } = value;
  if (kind === "status") return statusFault(value, wrong);
  if (kind === "slow") return { kind, factor: number(value.factor, "factor", [1, 1_000], wrong) };
  if (kind === "trickle") {
    const bytes = number(value.bytes, "bytes", [1, 1e6], wrong);
    return { kind, bytes, everyMs: number(value.everyMs, "everyMs", [1, 60_000], wrong) };
  }
  const plain = [...portKinds, ...plainKinds].find((each) => each === kind);
  if (plain !== undefined) return { kind: plain };
  const atToken = tokenKinds.find((each) => each === kind);
  if (atToken !== undefined) {
    const { token } = value;
    if (token === "headers") return { kind: atToken, token };
    return { kind: atToken, token: number(token, "token", [0, 1e6], wrong) };
  }
  wrong.push(`kind: ${JSON.stringify(kind)} is none of: ${faultKinds.join(", ")}`);
  return undefined;
}

/** Every kind, for messages. */
const faultKinds: readonly string[] = [
  "status",
  "slow",
  "trickle",
  ...portKinds,
  ...plainKinds,
  ...tokenKinds,
];

function statusFault(value: Fields, wrong: string[]): Fault {
  const { retryAfterSeconds, code } = value;
  return {
    kind: "status",
    status: number(value.status, "status", [200, 599], wrong),
    ...(retryAfterSeconds === undefined
      ? {}
      : {
          retryAfterSeconds: number(retryAfterSeconds, "retryAfterSeconds", [0, 3_600], wrong),
        }),
    ...(code === undefined ? {} : { code: String(code) }),
  };
}

function number(
  value: unknown,
  name: string,
  [min, max]: readonly [number, number],
  wrong: string[],
): number {
  if (typeof value === "number" && value >= min && value <= max) return value;
  wrong.push(`${name}: a number from ${min} to ${max} is needed`);
  return min;
}

export type ActiveFault = FaultRule & { readonly id: number; readonly met: number };

/** A request that looks for its fault. */
export type Meeting = {
  readonly model: string | undefined;
  readonly port?: number | undefined;
  /** Its connection carried another request before. */
  readonly reused?: boolean;
};

/** The rules in force. The first whose share draws the request meets it. */
export class FaultSet {
  readonly #random: Random;
  readonly #rules = new Map<number, ActiveFault>();
  #lastId = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** undefined: there are too many already. */
  add(rule: FaultRule): ActiveFault | undefined {
    if (this.#rules.size >= rulesMax) return undefined;
    this.#lastId += 1;
    const active = { ...rule, id: this.#lastId, met: 0 };
    this.#rules.set(active.id, active);
    return active;
  }

  /** undefined takes back all. */
  remove(id?: number): void {
    if (id === undefined) this.#rules.clear();
    else this.#rules.delete(id);
  }

  /** Takes back what concerns one model or one port. */
  removeWhere(of: { readonly model: string | undefined; readonly port: number | undefined }): void {
    for (const rule of this.#rules.values()) {
      const isSame =
        (of.model !== undefined && rule.model === of.model) ||
        (of.port !== undefined && rule.port === of.port);
      if (isSame) this.#rules.delete(rule.id);
    }
  }

  list(): readonly ActiveFault[] {
    return [...this.#rules.values()];
  }

  /** A connection to a port is to be closed, or a request's body to be left unread; counted. */
  meetsAt(port: number, kind: "close-at-connect" | "black-hole"): boolean {
    return this.#draw({ model: undefined, port }, (rule) => rule.fault.kind === kind) !== undefined;
  }

  /** Nothing is to listen on this port. */
  refuses(port: number): boolean {
    return this.list().some((each) => each.fault.kind === "refuse" && (each.port ?? port) === port);
  }

  /** The fault that meets a request for a model, counted. */
  meet(request: Meeting): Fault | undefined {
    return this.#draw(request, ({ fault }) => {
      if (fault.kind === "close-when-reused") return request.reused === true;
      return !isPortFault(fault);
    });
  }

  #draw(request: Meeting, fits: (rule: ActiveFault) => boolean): Fault | undefined {
    for (const rule of this.#rules.values()) {
      if (rule.model !== undefined && rule.model !== request.model) continue;
      if (rule.port !== undefined && rule.port !== request.port) continue;
      if (!fits(rule)) continue;
      if (this.#random.next() >= rule.share) continue;
      const met = rule.met + 1;
      if (rule.count !== undefined && met >= rule.count) this.#rules.delete(rule.id);
      else this.#rules.set(rule.id, { ...rule, met });
      return rule.fault;
    }
    return undefined;
  }
}
