// Models: that somebody serves them, that their other names are theirs alone, and that degrading ends.

import type { Model } from "../gen/meridian/v1/policy_pb.ts";
import { quote } from "./findings.ts";
import { checkReference, checkUnique, type PolicyIndex } from "./policy-index.ts";

const contextTokensMax = 100_000_000;

export function checkModels(index: PolicyIndex): void {
  const { policy, findings } = index;
  for (const [place, model] of policy.models.entries()) {
    const path = `models[${place}]`;
    if (!index.regionsByModel.has(model.name)) {
      const message = `no backend serves ${quote(model.name)}`;
      const hint = "add it to a backend's serves (with a weight above 0), or take the model out";
      findings.refuse("unserved_model", path, message, hint);
    }
    if (model.contextTokens > contextTokensMax) {
      const message = `${model.contextTokens} tokens are more than any model takes`;
      findings.refuse("out_of_range", `${path}.contextTokens`, message, "correct the number");
    }
    checkContinuation(index, model, path);
    checkUnique(model.features, `${path}.features`, findings);
    checkUnique(model.degradeTo, `${path}.degradeTo`, findings);
    for (const [second, name] of model.degradeTo.entries()) {
      checkReference(index, { kind: "model", name, path: `${path}.degradeTo[${second}]` });
    }
  }
  checkAliases(index);
  checkDegradeCycles(index);
}

/** Streams go on only from a backend that takes the assistant's words, and not from the one that broke. */
function checkContinuation({ policy, findings }: PolicyIndex, model: Model, path: string): void {
  if (!model.continueStreams) return;
  const able = policy.backends.filter(
    ({ assistantPrefix, serves }) =>
      assistantPrefix !== "" &&
      assistantPrefix !== "none" &&
      serves.some((each) => each.model === model.name),
  );
  if (able.length > 0) return;
  const message = `no backend that serves ${quote(model.name)} says what it does with an assistant's words`;
  const hint =
    "set assistantPrefix on those that can go on from them: append, or continue-final-message";
  findings.warn("continuation_impossible", `${path}.continueStreams`, message, hint);
}

/** A name that clients use must mean one model. */
function checkAliases({ policy, models, findings }: PolicyIndex): void {
  const seen = new Map<string, string>();
  for (const [place, model] of policy.models.entries()) {
    for (const [second, alias] of model.aliases.entries()) {
      const path = `models[${place}].aliases[${second}]`;
      const hint = "a name may mean one model only";
      const first = seen.get(alias);
      if (first === undefined) seen.set(alias, path);
      else findings.refuse("alias_clash", path, `${quote(alias)} stands at ${first} too`, hint);
      if (models.has(alias)) {
        findings.refuse("alias_clash", path, `${quote(alias)} is the name of a model`, hint);
      }
    }
  }
}

/** A model whose degrading is being followed, and which of its lesser models comes next. */
type Step = { readonly place: number; next: number };

/** Depth first without recursion, each model once: however long the chains are, neither stack nor time runs out. */
function checkDegradeCycles(index: PolicyIndex): void {
  const { policy } = index;
  const places = new Map(policy.models.map((each, place) => [each.name, place]));
  const done = new Set<number>();
  for (const start of policy.models.keys()) {
    const trail: Step[] = done.has(start) ? [] : [{ place: start, next: 0 }];
    const onTrail = new Set([start]);
    for (let top = trail.at(-1); top !== undefined; top = trail.at(-1)) {
      const to = policy.models[top.place]?.degradeTo[top.next];
      top.next += 1;
      if (to === undefined) {
        done.add(top.place);
        onTrail.delete(top.place);
        trail.pop();
        continue;
      }
      const place = places.get(to);
      if (place === undefined || done.has(place)) continue;
      if (onTrail.has(place)) {
        refuseCycle(index, trail, place);
        continue;
      }
      trail.push({ place, next: 0 });
      onTrail.add(place);
    }
  }
}

function refuseCycle({ policy, findings }: PolicyIndex, trail: readonly Step[], to: number): void {
  // A dense tangle has more circles than anybody reads: not all of them are spelled out.
  const from = findings.isCrowded() ? trail.length : trail.findIndex((each) => each.place === to);
  const names = [...trail.slice(from, from + 8).map((each) => each.place), to].map(
    (place) => policy.models[place]?.name ?? "",
  );
  if (trail.length - from > 8) names.splice(-1, 0, "…");
  const last = trail.at(-1);
  const path = `models[${last?.place}].degradeTo[${(last?.next ?? 1) - 1}]`;
  const message = `degrading goes in a circle: ${names.join(" → ")}`;
  findings.refuse("degrade_cycle", path, message, "take one of them out");
}
