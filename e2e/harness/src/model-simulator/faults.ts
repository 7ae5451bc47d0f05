// Faults that are switched on over HTTP: which of them meets a request. Pure.

import { err, ok, type Random, type Result } from "@meridian/proto/base";
import { isObject } from "./surface.ts";

/** Faults without a parameter of their own. */
const plainKinds = [
  // Nothing listens on the port any more until the fault is taken back (over the control port).
  "refuse",
  "reset-before-headers",
  "reset-after-headers",
  // Headers and a clean end, nothing between.
  "empty-stream",
  // Status 200 with an error object.
  "error-body",
  // 200 with an HTML page.
  "wrong-content-type",
] as const;

/** Faults after so many tokens; 0 is before the first. Without streaming they spoil the body. */
const tokenKinds = [
  "reset-at-token",
  // A clean end of the response without the protocol's sentinel.
  "end-at-token",
  // The connection stays open and says nothing more.
  "stall-at-token",
  // The protocol's own error, in the stream.
  "error-at-token",
  "malformed-at-token",
] as const;

type PlainKind = (typeof plainKinds)[number];
type TokenKind = (typeof tokenKinds)[number];

export type Fault =
  | { readonly kind: "status"; readonly status: number; readonly retryAfterSeconds?: number }
  | { readonly kind: PlainKind }
  | { readonly kind: TokenKind; readonly token: number }
  | { readonly kind: "slow"; readonly factor: number };

/** A fault with the requests that it meets. */
export type FaultRule = {
  readonly fault: Fault;
  /** 0 to 1; default 1. */
  readonly share: number;
  /** So many requests, then the rule is gone; undefined: until it is taken back. */
  readonly count: number | undefined;
  /** Only requests for this model. */
  readonly model: string | undefined;
};

/** More rules than this are refused. */
export const rulesMax = 64;

/**
 * One rule from JSON, every complaint at once.
 *
 * @example parseFaultRule({ kind: "status", status: 503, retryAfterSeconds: 2, share: 0.5, count: 10 })
 */
export function parseFaultRule(value: unknown): Result<FaultRule, readonly string[]> {
  if (!isObject(value)) return err(["a fault is an object with a kind"]);
  const wrong: string[] = [];
  const share = number(value.share ?? 1, "share", [0, 1], wrong);
  const count =
    value.count === undefined ? undefined : number(value.count, "count", [1, 1e9], wrong);
  const model = value.model === undefined ? undefined : String(value.model);
  const fault = parseFault(value, wrong);
  return fault === undefined || wrong.length > 0 ? err(wrong) : ok({ fault, share, count, model });
}

function parseFault(value: { readonly [name: string]: unknown }, wrong: string[]) {
  const { kind } = value;
  if (kind === "status") return statusFault(value, wrong);
  if (kind === "slow") {
    const fault: Fault = { kind, factor: number(value.factor, "factor", [1, 1_000], wrong) };
    return fault;
  }
  const plain = plainKinds.find((each) => each === kind);
  if (plain !== undefined) {
    const fault: Fault = { kind: plain };
    return fault;
  }
  const atToken = tokenKinds.find((each) => each === kind);
  if (atToken !== undefined) {
    const fault: Fault = { kind: atToken, token: number(value.token, "token", [0, 1e6], wrong) };
    return fault;
  }
  const known = ["status", "slow", ...plainKinds, ...tokenKinds].join(", ");
  wrong.push(`kind: ${JSON.stringify(kind)} is none of: ${known}`);
  return undefined;
}

function statusFault(value: { readonly [name: string]: unknown }, wrong: string[]): Fault {
  const status = number(value.status, "status", [200, 599], wrong);
  if (value.retryAfterSeconds === undefined) return { kind: "status", status };
  const retryAfterSeconds = number(value.retryAfterSeconds, "retryAfterSeconds", [0, 3_600], wrong);
  return { kind: "status", status, retryAfterSeconds };
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

  list(): readonly ActiveFault[] {
    return [...this.#rules.values()];
  }

  /** The fault that meets a request for a model, counted. */
  meet(model: string | undefined): Fault | undefined {
    for (const rule of this.#rules.values()) {
      if (rule.model !== undefined && rule.model !== model) continue;
      if (this.#random.next() >= rule.share) continue;
      const met = rule.met + 1;
      if (rule.count !== undefined && met >= rule.count) this.#rules.delete(rule.id);
      else this.#rules.set(rule.id, { ...rule, met });
      return rule.fault;
    }
    return undefined;
  }
}
