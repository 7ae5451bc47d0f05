// A drain as it stands in the store, and what is in force of many of them at a time. An order ends by itself: nobody has
// to be alive to end it.

import { err, ok, type Problem, problem, type Result, type WallTime } from "@meridian/proto/base";

export type DrainTarget = { readonly kind: "region" | "backend"; readonly name: string };

export type DrainOrder = {
  readonly target: DrainTarget;
  /** Obeyed before this time and never from it on. */
  readonly untilMs: WallTime;
  readonly reason: string;
  readonly author: string;
};

/** The orders in force, by the names of what they drain. */
export type Drains = {
  readonly regions: ReadonlyMap<string, DrainOrder>;
  readonly backends: ReadonlyMap<string, DrainOrder>;
};

/** The JSON value under the order's key in the store. */
export function drainValue(order: DrainOrder): {
  readonly untilMs: number;
  readonly reason: string;
  readonly author: string;
} {
  return { untilMs: order.untilMs, reason: order.reason, author: order.author };
}

/** What drainValue wrote, read back. A value that isn't one drains nothing, and says so. */
export function parseDrain(target: DrainTarget, value: unknown): Result<DrainOrder, Problem> {
  const path = `drain/${target.kind}/${target.name}`;
  if (typeof value !== "object" || value === null) {
    return err(problem("wrong_type", path, "the order is not an object"));
  }
  const { untilMs, reason, author }: { untilMs?: unknown; reason?: unknown; author?: unknown } =
    value;
  if (typeof untilMs !== "number" || !Number.isFinite(untilMs)) {
    return err(problem("wrong_type", `${path}/untilMs`, "the order has no end"));
  }
  return ok({ target, untilMs, reason: textOf(reason), author: textOf(author) });
}

/** The orders in force now. Of several for one thing the one that ends last holds. */
export function drainsAt(orders: Iterable<DrainOrder>, now: WallTime): Drains {
  const regions = new Map<string, DrainOrder>();
  const backends = new Map<string, DrainOrder>();
  for (const order of orders) {
    if (order.untilMs <= now) continue;
    const found = order.target.kind === "region" ? regions : backends;
    const other = found.get(order.target.name);
    if (other === undefined || other.untilMs < order.untilMs) found.set(order.target.name, order);
  }
  return { regions, backends };
}

/** Milliseconds until the order ends, at most what 32 bits hold; 0: it has ended. */
export function drainLeftMs(order: DrainOrder, now: WallTime): number {
  return Math.min(Math.max(0, Math.ceil(order.untilMs - now)), 0xffff_ffff);
}

/** When the next order ends and what is told to proxies changes; undefined: none is in force. */
export function nextDrainEndMs(orders: Iterable<DrainOrder>, now: WallTime): WallTime | undefined {
  let next: WallTime | undefined;
  for (const { untilMs } of orders) {
    if (untilMs > now && (next === undefined || untilMs < next)) next = untilMs;
  }
  return next;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
