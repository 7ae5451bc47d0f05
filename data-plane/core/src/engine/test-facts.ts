// For tests: what is known of a plain request.

import type { RequestFacts } from "./engine.ts";

export const plainFacts: RequestFacts = {
  requestId: "r",
  tenant: "anonymous",
  kind: "chat",
  model: "big",
  stream: true,
  inputTokens: 100,
  outputTokensMax: 100,
  arrivedFrom: undefined,
  timeoutMs: undefined,
  continuable: false,
  isContinuation: false,
  protocol: "openai",
  path: "/v1/chat/completions",
  headers: {},
  prefix: [],
};
