// Headers on both sides. Upstreams get an allow-list: no credentials and nothing hop-by-hop of the client's ever leaves.

import type { Candidate } from "@meridian/data-core/attempt";
import type { RequestKind } from "@meridian/data-core/engine";
import type { UpstreamCall } from "../upstream/upstream-call.ts";
import type { HeaderList } from "./client-answer.ts";
import type { Exchange } from "./exchange.ts";

/** Headers between proxies of different regions. */
export const hop = {
  tenant: "x-meridian-tenant",
  from: "x-meridian-from",
  refusal: "x-meridian-refusal",
  timeout: "x-request-timeout-ms",
} as const;

/** Passed on as they are: they carry traces, and nothing else. */
const passedOn = ["traceparent", "tracestate"] as const;

const paths: { readonly [K in RequestKind]: string } = {
  chat: "/v1/chat/completions",
  completion: "/v1/completions",
  embedding: "/v1/embeddings",
};

export function upstreamPath(kind: RequestKind): string {
  return paths[kind];
}

/** Compressed streams would be held back by their compressor, so identity is asked for. */
export function upstreamHeaders(exchange: Exchange, candidate: Candidate): HeaderList {
  const { arrival, decoded, request } = exchange;
  const headers: HeaderList = [
    "content-type",
    "application/json",
    "accept",
    decoded?.stream === true ? "text/event-stream" : "application/json",
    "accept-encoding",
    "identity",
    "x-request-id",
    arrival.requestId,
  ];
  for (const name of passedOn) {
    const value = request.headers[name];
    if (typeof value === "string") headers.push(name, value);
  }
  if (candidate.kind === "peer") addHopHeaders(exchange, headers);
  return headers;
}

function addHopHeaders(exchange: Exchange, headers: HeaderList): void {
  const { context, facts } = exchange;
  headers.push(hop.tenant, exchange.tenant, hop.from, context.settings.region);
  if (facts?.timeoutMs === undefined) return;
  const spentMs = context.clock.now() - exchange.startedAt;
  headers.push(hop.timeout, String(Math.max(1, Math.ceil(facts.timeoutMs - spentMs))));
}

/** The head of an answer that an upstream gave. */
export function answerHeaders(exchange: Exchange, call: UpstreamCall): HeaderList {
  const { candidate } = call;
  const isPeer = candidate.kind === "peer";
  const headers = ownHeaders(exchange);
  headers.push(
    "content-type",
    text(call.headers["content-type"]) ?? "application/json",
    "x-meridian-region",
    (isPeer ? text(call.headers["x-meridian-region"]) : undefined) ?? candidate.region,
    "x-meridian-backend",
    (isPeer ? text(call.headers["x-meridian-backend"]) : candidate.name) ?? "",
  );
  if (call.tap !== undefined) headers.push("cache-control", "no-cache", "x-accel-buffering", "no");
  return headers;
}

/** On every answer, refusals included. */
export function ownHeaders(exchange: Exchange): HeaderList {
  const { arrival, attempts, context } = exchange;
  const headers: HeaderList = [
    "x-request-id",
    arrival.requestId,
    "x-meridian-attempts",
    String(attempts?.records().length ?? 0),
    "x-meridian-revision",
    context.engine.serving()?.revision ?? "none",
  ];
  if (context.isDraining()) headers.push("connection", "close");
  return headers;
}

/** A header's value, if it is one and fit to be written again. */
function text(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** An id of the client's, when it is fit to stand in logs and headers. */
export function readRequestId(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" && /^[\w.:-]{1,128}$/.test(value) ? value : undefined;
}

/** The caller's limit in milliseconds, when it is a positive whole number of at most a day. */
export function readTimeoutMs(value: string | string[] | undefined): number | undefined {
  if (typeof value !== "string" || !/^[1-9]\d{0,7}$/.test(value)) return undefined;
  return Number(value);
}
