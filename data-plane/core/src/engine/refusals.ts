// Why a request is not taken, in words and in the code that clients get.

import { type Problem, problem } from "@meridian/proto/base";
import type { Admission, RefusalReason } from "./engine.ts";

const refusalTexts: { readonly [K in RefusalReason]: (detail: string) => Problem } = {
  "not-ready": () =>
    problem("not_ready", "", "this proxy has no policy yet", "try again in a moment"),
  "unknown-model": (model) =>
    problem(
      "model_not_found",
      "model",
      `the model ${JSON.stringify(model.slice(0, 200))} does not exist or you may not use it`,
      "GET /v1/models lists the models that you may use",
    ),
  "unknown-tenant": () => problem("unknown_tenant", "", "the policy does not know this tenant"),
  residency: () =>
    problem("residency", "", "no region that your residency allows can take this request"),
  "no-backend": () => problem("no_backend", "", "nobody can answer now"),
  "region-full": () =>
    problem("region_full", "", "this region's queue is too long for a request from another one"),
};

/** Retrying helps where a policy or capacity may arrive. */
export function refuse(reason: Exclude<RefusalReason, "region-full">, detail = ""): Admission {
  const retryAfterMs = reason === "not-ready" || reason === "no-backend" ? 1_000 : undefined;
  return {
    kind: "refused",
    refusal: { reason, problem: refusalTexts[reason](detail), retryAfterMs, queueMs: undefined },
  };
}

export function refuseFull(queueMs: number): Admission {
  const reason: RefusalReason = "region-full";
  const refusal = { reason, problem: refusalTexts[reason](""), retryAfterMs: queueMs, queueMs };
  return { kind: "refused", refusal };
}
