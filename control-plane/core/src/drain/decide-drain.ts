// The guard before a drain: it must not take away the last place where something is answered. Source: the safety rules
// of AWS Application Recovery Controller, reference 6.2.

import {
  err,
  formatDuration,
  ok,
  type Problem,
  problem,
  type Result,
  type WallTime,
} from "@meridian/proto/base";
import type { Backend, Policy } from "@meridian/proto/gen/policy_pb";
import type { DrainOrder, Drains, DrainTarget } from "./drain-order.ts";

export type DrainRequest = {
  readonly target: DrainTarget;
  readonly forSeconds: number;
  readonly reason: string;
  readonly author: string;
  /** Also where the guard would refuse; needs a reason. */
  readonly force: boolean;
};

/** What the guard decides by. */
export type DrainView = {
  readonly policy: Policy;
  /** In force now. */
  readonly drains: Drains;
  /** Regions that have a proxy to answer, drained or not. */
  readonly readyRegions: ReadonlySet<string>;
};

export const drainLimits = { secondsMax: 86_400, reasonLengthMax: 500 } as const;

/** The order to store, or every reason against it. A new order for the same thing replaces the former. */
export function decideDrain(
  request: DrainRequest,
  view: DrainView,
  now: WallTime,
): Result<DrainOrder, readonly Problem[]> {
  const problems = [...checkForm(request), ...checkTarget(request.target, view.policy)];
  if (problems.length === 0 && !request.force) problems.push(...guard(request.target, view));
  if (problems.length > 0) return err(problems);
  const { target, reason, author, forSeconds } = request;
  return ok({ target, reason, author, untilMs: now + forSeconds * 1_000 });
}

function checkForm(request: DrainRequest): readonly Problem[] {
  const problems: Problem[] = [];
  const { forSeconds, reason, force } = request;
  if (!Number.isInteger(forSeconds) || forSeconds < 1 || forSeconds > drainLimits.secondsMax) {
    const longest = formatDuration(drainLimits.secondsMax * 1_000);
    const hint = `give a time from 1 s to ${longest}; a drain can be given again before it ends`;
    problems.push(problem("out_of_range", "forSeconds", `${forSeconds} s is no time`, hint));
  }
  if (reason.length > drainLimits.reasonLengthMax) {
    const hint = `at most ${drainLimits.reasonLengthMax} characters`;
    problems.push(problem("too_large", "reason", "the reason is too long", hint));
  }
  if (force && reason.trim() === "") {
    const hint = "say why; it is what others will find";
    problems.push(problem("missing", "reason", "a forced drain needs a reason", hint));
  }
  return problems;
}

function checkTarget({ kind, name }: DrainTarget, policy: Policy): readonly Problem[] {
  const names = (kind === "region" ? policy.regions : policy.backends).map((each) => each.name);
  if (names.includes(name)) return [];
  const hint = `${kind}s are: ${shorten(names)}`;
  const message = `no ${kind} is named ${JSON.stringify(name.slice(0, 64))}`;
  return [problem("dangling_name", kind, message, hint)];
}

function guard(target: DrainTarget, view: DrainView): readonly Problem[] {
  return target.kind === "region"
    ? guardRegion(target.name, view)
    : guardModels("backend", (each) => each.name === target.name, view);
}

/** Another region must be ready, every model be served elsewhere, and no tenant be bound to this region alone. */
function guardRegion(name: string, view: DrainView): readonly Problem[] {
  const { drains, readyRegions, policy } = view;
  const isOther = (each: string) => each !== name && !drains.regions.has(each);
  const problems: Problem[] = [];
  if (![...readyRegions].some(isOther)) {
    const message = `no region but ${name} is ready`;
    const hint = "end another region's drain or wait until one is ready; or force, with a reason";
    problems.push(problem("last_region", "region", message, hint));
  }
  const bound = policy.tenants
    .filter(({ residency }) => residency.includes(name) && !residency.some(isOther))
    .map((each) => each.name);
  if (bound.length > 0) {
    const message = `tenants that no other region may answer: ${shorten(bound)}`;
    const hint = "they will be refused as long as it lasts; force, with a reason";
    problems.push(problem("residency_unserved", "region", message, hint));
  }
  return [...problems, ...guardModels("region", (each) => each.region === name, view)];
}

/** Every model of what goes must keep a backend that stays. */
function guardModels(
  path: "region" | "backend",
  goes: (backend: Backend) => boolean,
  view: DrainView,
): readonly Problem[] {
  const kept = new Set<string>();
  const going = new Set<string>();
  for (const backend of view.policy.backends) {
    if (!isInService(backend, view.drains)) continue;
    for (const { model } of backend.serves) (goes(backend) ? going : kept).add(model);
  }
  const lost = [...going].filter((model) => !kept.has(model));
  if (lost.length === 0) return [];
  const message = `models that nothing else in service serves: ${shorten(lost)}`;
  const hint = "end another drain or add a backend; or force, with a reason";
  return [problem("last_backend", path, message, hint)];
}

function isInService(backend: Backend, drains: Drains): boolean {
  const drained = drains.backends.has(backend.name) || drains.regions.has(backend.region);
  return backend.weight !== 0 && !drained;
}

function shorten(names: readonly string[]): string {
  return names.slice(0, 20).join(", ") + (names.length > 20 ? ", …" : "");
}
