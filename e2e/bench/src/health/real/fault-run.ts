// One fault of one backend, from the moment it is done to the moment at which all is as it was.

import { setTimeout as pause } from "node:timers/promises";
import type { BackendHealthReport } from "@meridian/proto/gen/admin_pb";
import type { Admin } from "../../policy/admin.ts";
import type { RealFault } from "./faults.ts";
import type { ClientError, PoolLoad } from "./load.ts";
import { firstOfEachProxy, type ProxyEvents } from "./proxy-events.ts";
import type { SceneBackend } from "./scene.ts";

/** What watches a run. */
export type Watch = {
  readonly admin: Admin;
  readonly events: ProxyEvents;
  readonly load: PoolLoad;
};

/** Milliseconds from the fault, or for the return from its end; NaN: it did not come to be. */
export type FaultRun = {
  readonly backend: string;
  /** Each proxy's own ejection, the quicker one first. */
  readonly ejectedMs: readonly number[];
  readonly degradedMs: number;
  readonly unhealthyMs: number;
  readonly reason: string;
  /** It gets requests again. */
  readonly letInMs: number;
  /** It has its whole share, and nothing speaks against it. */
  readonly wholeMs: number;
  readonly requests: number;
  readonly errors: readonly ClientError[];
};

/** What is waited for after the fault's end. */
export type RunEnd = "noticed" | "let-in" | "whole";

const pollMs = 100;
const noticedWithinMs = 150_000;
const wholeWithinMs = 300_000;
/** Errors of requests that were under way when the fault ended belong to it. */
const afterMs = 1_000;

export async function runFault(
  fault: RealFault,
  backend: SceneBackend,
  watch: Watch,
  end: RunEnd,
): Promise<FaultRun> {
  await untilWhole(watch.admin, backend.name);
  const sent = watch.load.sent();
  const from = Date.now();
  await fault.inject(backend);
  const first = await until(watch.admin, backend.name, noticedWithinMs, (report) =>
    isNoticed(report, from, fault),
  );
  if (first !== undefined) await pause(fault.lastsMs);
  const last = await watch.admin.explainBackend(backend.name);
  await fault.heal(backend);
  const healedAt = Date.now();
  const changes = changesSince(last, from);
  const firstOf = (verdicts: readonly string[]) =>
    (changes.find((each) => verdicts.includes(each.verdict))?.at ?? Number.NaN) - from;
  const unhealthyMs = firstOf(["unhealthy"]);
  const back = await untilBack(watch.admin, backend.name, end);
  const ejections = watch.events.since(from, (event) => {
    return event.kind === "ejected" && event.backend === backend.name && event.at <= healedAt;
  });
  return {
    backend: backend.name,
    ejectedMs: firstOfEachProxy(ejections).map(({ at }) => at - from),
    degradedMs: firstOf(["degraded", "unhealthy"]),
    unhealthyMs,
    reason: changes.find((each) => each.verdict !== "healthy")?.reason ?? "",
    letInMs: Number.isNaN(unhealthyMs) ? Number.NaN : back.letInAt - healedAt,
    wholeMs: back.wholeAt - healedAt,
    requests: watch.load.sent() - sent,
    errors: watch.load.errors(from, Date.now() + afterMs),
  };
}

/** Waits until the backend has its whole share and nothing speaks against it. */
export async function untilWhole(admin: Admin, backend: string): Promise<void> {
  const whole = await until(admin, backend, wholeWithinMs, isWhole);
  if (whole === undefined) throw new Error(`${backend} did not come back within 5 minutes`);
}

/** Polls; undefined when the time is over. */
export async function until(
  admin: Admin,
  backend: string,
  withinMs: number,
  isReached: (report: BackendHealthReport) => boolean,
): Promise<BackendHealthReport | undefined> {
  const deadline = Date.now() + withinMs;
  while (Date.now() < deadline) {
    const report = await admin.explainBackend(backend);
    if (report !== undefined && isReached(report)) return report;
    await pause(pollMs);
  }
  return undefined;
}

export type Change = { readonly at: number; readonly verdict: string; readonly reason: string };

/** Oldest first. */
export function changesSince(
  report: BackendHealthReport | undefined,
  from: number,
): readonly Change[] {
  return (report?.history ?? [])
    .map(({ atMs, verdict, reason }) => ({ at: Number(atMs), verdict, reason }))
    .filter((each) => each.at >= from)
    .reverse();
}

function isNoticed(report: BackendHealthReport, from: number, { wanted }: RealFault): boolean {
  return changesSince(report, from).some(
    ({ verdict }) => verdict === "unhealthy" || verdict === wanted,
  );
}

function isWhole({ verdict, phase, share }: BackendHealthReport): boolean {
  return verdict === "healthy" && phase === "in" && share === 1_000;
}

async function untilBack(
  admin: Admin,
  backend: string,
  end: RunEnd,
): Promise<{ readonly letInAt: number; readonly wholeAt: number }> {
  const never = { letInAt: Number.NaN, wholeAt: Number.NaN };
  if (end === "noticed") return never;
  const letIn = await until(admin, backend, wholeWithinMs, ({ phase }) => {
    return phase === "returning" || phase === "in";
  });
  if (letIn === undefined) return never;
  const letInAt = Number(letIn.sinceMs);
  if (end === "let-in") return { letInAt, wholeAt: Number.NaN };
  await untilWhole(admin, backend);
  return { letInAt, wholeAt: Date.now() };
}
