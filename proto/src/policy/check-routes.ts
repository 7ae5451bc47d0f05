// Routes: what they match, where they lead, and that what they say of time and chance is possible.

import type { Route, Target } from "../gen/meridian/v1/policy_pb.ts";
import { checkAffinity, checkMatch } from "./check-match.ts";
import { checkWord } from "./check-word.ts";
import { type Findings, quote } from "./findings.ts";
import { checkReference, checkUnique, type PolicyIndex } from "./policy-index.ts";
import { balances, rungs } from "./words.ts";

const limits = {
  targetWeightMax: 1_000_000,
  attemptsMax: 10,
  budgetPercentMax: 100,
  hedgePercentMax: 50,
  shadowPercentMax: 100,
  shadowConcurrencyMax: 1_000,
  totalMsMax: 86_400_000,
} as const;

export function checkRoutes(index: PolicyIndex): void {
  const { policy, findings } = index;
  for (const [place, route] of policy.routes.entries()) {
    const path = `routes[${place}]`;
    if (route.match !== undefined) checkMatch(index, route.match, `${path}.match`);
    checkTargets(index, route.targets, `${path}.targets`);
    checkWords(route, path, findings);
    checkTimeouts(route, `${path}.timeouts`, findings);
    checkRetry(route, `${path}.retry`, findings);
    checkHedge(route, `${path}.hedge`, findings);
    checkShadow(index, route, `${path}.shadow`);
    checkAffinity(route, `${path}.affinity`, findings);
  }
}

function checkTargets(index: PolicyIndex, targets: readonly Target[], path: string): void {
  const { findings } = index;
  for (const [place, { model, weight }] of targets.entries()) {
    checkReference(index, { kind: "model", name: model, path: `${path}[${place}].model` });
    if ((weight ?? 1) > limits.targetWeightMax) {
      const message = `the weight ${weight} is more than ${limits.targetWeightMax}`;
      findings.refuse("out_of_range", `${path}[${place}].weight`, message, "give smaller weights");
    }
  }
  checkUnique(
    targets.map((each) => each.model),
    path,
    findings,
  );
  if (targets.length > 0 && targets.every((each) => each.weight === 0)) {
    const message = "all weights are 0: the route leads nowhere";
    findings.refuse("zero_weight", path, message, "give at least one target a weight above 0");
  }
}

function checkWords(route: Route, path: string, findings: Findings): void {
  if (route.balance !== "")
    checkWord(balances, route.balance, { path: `${path}.balance`, findings });
  for (const [place, word] of route.fallback.entries()) {
    checkWord(rungs, word, { path: `${path}.fallback[${place}]`, findings });
  }
  checkUnique(route.fallback, `${path}.fallback`, findings);
}

/** Only what the document itself says is held against each other: a default gives way. */
function checkTimeouts(route: Route, path: string, findings: Findings): void {
  const { timeouts, objective } = route;
  if (timeouts === undefined) return;
  const { $typeName: _, $unknown: __, totalMs, ...parts } = timeouts;
  const { firstTokenMs, slowMs } = parts;
  const total = totalMs === 0 ? limits.totalMsMax : totalMs;
  for (const [name, ms] of Object.entries(parts)) {
    if (ms <= total) continue;
    const message = `${ms} ms are more than the whole request may take, ${total} ms`;
    const hint = "lower it, or raise totalMs (at most a day)";
    findings.refuse("timeouts_contradict", `${path}.${name}`, message, hint);
  }
  if (totalMs > limits.totalMsMax) {
    const message = `${totalMs} ms are more than a day`;
    findings.refuse("out_of_range", `${path}.totalMs`, message, "at most 86400000");
  }
  if (firstTokenMs > 0 && slowMs > firstTokenMs) {
    const message = "a token that late is given up already: it would never count as slow";
    findings.refuse("timeouts_contradict", `${path}.slowMs`, message, "lower slowMs");
  }
  if (firstTokenMs > 0 && (objective?.firstTokenMs ?? 0) > firstTokenMs) {
    const message = "the objective comes after the timeout: it would never be missed in time";
    const hint = "lower objective.firstTokenMs, or raise the timeout";
    findings.refuse("timeouts_contradict", `${path}.firstTokenMs`, message, hint);
  }
}

function checkRetry(route: Route, path: string, findings: Findings): void {
  const { attempts, budgetPercent } = route.retry ?? { attempts: 0, budgetPercent: 0 };
  if (attempts > limits.attemptsMax) {
    const message = `${attempts} attempts are more than ${limits.attemptsMax}`;
    const hint = "many attempts at once are what keeps a failing service down";
    findings.refuse("out_of_range", `${path}.attempts`, message, hint);
  }
  if (budgetPercent > limits.budgetPercentMax) {
    const message = `${budgetPercent} % are more than one retry for each request`;
    findings.refuse("out_of_range", `${path}.budgetPercent`, message, "at most 100; 10 is usual");
  }
}

function checkHedge({ hedge }: Route, path: string, findings: Findings): void {
  if (hedge === undefined) return;
  if (hedge.budgetPercent > limits.hedgePercentMax) {
    const message = `${hedge.budgetPercent} % are more than every second request`;
    findings.refuse("out_of_range", `${path}.budgetPercent`, message, "at most 50; 5 is usual");
  }
  if (hedge.minMs > limits.totalMsMax) {
    const message = `${hedge.minMs} ms are more than a day`;
    findings.refuse("out_of_range", `${path}.minMs`, message, "at most 86400000; 50 is usual");
  }
}

function checkShadow(index: PolicyIndex, route: Route, path: string): void {
  const { shadow } = route;
  if (shadow === undefined) return;
  const { findings } = index;
  const { model, percent, concurrency } = shadow;
  checkReference(index, { kind: "model", name: model, path: `${path}.model` });
  if (percent > limits.shadowPercentMax) {
    const message = `${percent} % are more than one copy of each request`;
    findings.refuse("out_of_range", `${path}.percent`, message, "from 1 to 100");
  }
  if (concurrency > limits.shadowConcurrencyMax) {
    const message = `${concurrency} copies at once are more than ${limits.shadowConcurrencyMax}`;
    findings.refuse("out_of_range", `${path}.concurrency`, message, "16 is usual");
  }
  if (!answers(index, route, model)) return;
  const message = `${quote(model)} answers these requests itself: its copies would only double them`;
  findings.warn("shadow_of_itself", `${path}.model`, message, "name the model that is tried out");
}

/** The model is a target, or may be what the client asks for by a name that the route spells out. */
function answers({ aliases }: PolicyIndex, { targets, match }: Route, model: string): boolean {
  if (targets.length > 0) return targets.some((each) => each.model === model && each.weight !== 0);
  return (match?.models ?? []).some((each) => (aliases.get(each) ?? each) === model);
}
