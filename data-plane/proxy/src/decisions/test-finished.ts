// For tests: requests that have ended.

import {
  type AttemptRecord,
  type Candidate,
  type UpstreamFailure,
  upstreamFailure,
} from "@meridian/data-core/attempt";
import type { Outcome } from "@meridian/data-core/engine";
import type { FinishedExchange } from "../server/index.ts";

const backend: Candidate = {
  kind: "backend",
  slot: 0,
  name: "eu-a",
  region: "eu",
  origin: "http://127.0.0.1:9",
  protocol: "openai",
  model: "llama",
  upstreamModel: undefined,
  assistantPrefix: "none",
};

export function attemptRecord(more: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    attempt: 1,
    candidate: backend,
    reason: "least score",
    role: "first",
    considered: { names: ["eu-a", "eu-b"], scores: [0.25, 1.5] },
    startedAt: 1_001,
    headersAt: 1_040,
    firstTokenAt: 1_050.1234567,
    endedAt: 1_120,
    outcome: "complete",
    failure: undefined,
    slow: false,
    ...more,
  };
}

function outcome(more: Partial<Outcome> = {}): Outcome {
  return {
    facts: {
      requestId: "req_1",
      tenant: "acme",
      kind: "chat",
      model: "llama-alias",
      stream: true,
      inputTokens: 12,
      outputTokensMax: undefined,
      arrivedFrom: undefined,
      timeoutMs: undefined,
      continuable: false,
      isContinuation: false,
      protocol: "openai",
      path: "/v1/chat/completions",
      headers: {},
      prefix: [],
    },
    route: "chat",
    ending: { kind: "complete", attempt: 1 },
    attempts: [attemptRecord()],
    usage: { inputTokens: 10, outputTokens: 20, exact: true },
    startedAt: 1_000,
    committedAt: 1_050.1234567,
    ...more,
  };
}

/** One that the first backend answered. */
export function finished(id: string, more: Partial<FinishedExchange> = {}): FinishedExchange {
  return {
    requestId: `req_${id}`,
    decisionId: `dec_${id}`,
    arrivedAtMs: 1_700_000_000_000,
    revision: "1.42",
    ownMs: 0.3,
    heldMs: 0,
    shadow: "",
    errorCode: undefined,
    kind: "chat",
    tenant: "acme",
    model: "llama",
    stream: true,
    status: 200,
    ending: "complete",
    region: "eu",
    arrivedFrom: undefined,
    durationMs: 120,
    firstTokenMs: 50,
    outcome: outcome(),
    ...more,
  };
}

/** One whose stream broke; `message` is what the upstream had said. */
export function broken(id: string, message = "the model server stalled"): FinishedExchange {
  return failed(id, upstreamFailure("error-frame", message));
}

export function failed(id: string, failure: UpstreamFailure): FinishedExchange {
  return finished(id, {
    ending: "broken",
    errorCode: "upstream_error",
    outcome: outcome({
      ending: { kind: "broken", attempt: 1, failure },
      attempts: [attemptRecord({ outcome: "failed", failure })],
    }),
  });
}
