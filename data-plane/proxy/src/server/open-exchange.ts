// The beginning of an exchange: it gets its ids, and counts as live.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Arrival } from "./arrival.ts";
import type { ServerContext } from "./context.ts";
import { Exchange } from "./exchange.ts";
import { readRequestId } from "./wire-headers.ts";

export function openExchange(
  context: ServerContext,
  from: Omit<Arrival, "requestId" | "decisionId">,
  http: { readonly request: IncomingMessage; readonly response: ServerResponse },
): Exchange {
  const decisionId = context.newRequestId();
  const requestId = readRequestId(http.request.headers["x-request-id"]) ?? decisionId;
  const exchange = new Exchange(context, { ...from, requestId, decisionId }, http);
  context.opened();
  return exchange;
}
