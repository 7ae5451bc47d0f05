// What the engine is told of a request. Of its headers those that the policy asks for, and the beginning of its prompt
// only where a route goes by it.

import {
  noHeaders,
  type RequestFacts,
  type RequestHeaders,
  type Serving,
} from "@meridian/data-core/engine";
import type { Instant } from "@meridian/proto/base";
import { type DecodedRequest, hashPrefix } from "@meridian/wire";
import type { Exchange } from "./exchange.ts";
import { hop, readDeadlineMs, readHopHead, readQueueMaxMs, upstreamPath } from "./wire-headers.ts";

const noPrefix: readonly number[] = [];

export function requestFacts(
  exchange: Exchange,
  decoded: DecodedRequest,
  now: Instant,
): RequestFacts {
  const { arrival, context, request, tenant } = exchange;
  const serving = context.engine.serving();
  const { kind, model } = decoded;
  return {
    requestId: arrival.requestId,
    tenant,
    kind,
    model,
    stream: decoded.stream,
    inputTokens: decoded.inputTokens,
    outputTokensMax: decoded.outputTokensMax,
    arrivedFrom: arrival.arrivedFrom,
    timeoutMs: timeLeftMs(exchange, now),
    continuable: decoded.continuable,
    isContinuation: arrival.arrivedFrom !== undefined && request.headers[hop.continues] === "1",
    protocol: "openai",
    // The client may have left out /v1; another region's proxy never does.
    path: upstreamPath(kind),
    headers: headersOf(exchange, serving),
    queueMaxMs: arrival.arrivedFrom === undefined ? undefined : readQueueMaxMs(request.headers),
    prefix: serving?.readsPrefix === true ? prefixOf(exchange, decoded) : noPrefix,
  };
}

/**
 * What the head alone tells of a request that another region sent, where that is enough to refuse it for the queue here:
 * then its body need not come first, which takes several round trips where prompts are long. undefined: it is not.
 */
export function factsOfHead(exchange: Exchange, now: Instant): RequestFacts | undefined {
  const { arrival, context, request, tenant } = exchange;
  const told = readHopHead(request.headers);
  if (arrival.arrivedFrom === undefined || told === undefined) return undefined;
  return {
    requestId: arrival.requestId,
    tenant,
    kind: arrival.kind,
    model: told.model,
    stream: false,
    inputTokens: told.tokens,
    outputTokensMax: 0,
    arrivedFrom: arrival.arrivedFrom,
    timeoutMs: timeLeftMs(exchange, now),
    continuable: false,
    isContinuation: request.headers[hop.continues] === "1",
    protocol: "openai",
    path: upstreamPath(arrival.kind),
    headers: headersOf(exchange, context.engine.serving()),
    queueMaxMs: told.queueMaxMs,
    prefix: noPrefix,
  };
}

/** The caller's deadline counts from the request's arrival: what its upload took is gone. */
function timeLeftMs({ request, startedAt }: Exchange, now: Instant): number | undefined {
  const deadlineMs = readDeadlineMs(request.headers);
  return deadlineMs === undefined ? undefined : Math.max(1, deadlineMs - (now - startedAt));
}

function headersOf({ request }: Exchange, serving: Serving | undefined): RequestHeaders {
  const names = serving?.headersRead ?? [];
  let found: { [name: string]: string } | undefined;
  for (const name of names) {
    const value = request.headers[name];
    if (typeof value !== "string") continue;
    found ??= {};
    found[name] = value;
  }
  return found ?? noHeaders;
}

/** Two models have nothing in common in their caches. */
function prefixOf({ body, context, text }: Exchange, decoded: DecodedRequest): readonly number[] {
  const start = context.protocol.findPrompt(decoded.kind, text);
  if (start === undefined || body === undefined) return noPrefix;
  return hashPrefix(body, start, decoded.model);
}
