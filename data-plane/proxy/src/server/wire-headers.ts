// Headers on both sides. Upstreams get an allow-list: no credentials and nothing hop-by-hop of the client's ever leaves.

import type { IncomingHttpHeaders } from "node:http";
import type { Choice, UpstreamFailure } from "@meridian/data-core/attempt";
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
  /** "1": the body ends with the assistant's words, and the answer goes on from them. */
  continues: "x-meridian-continues",
  /** The longest queue, in milliseconds, that the sender still gains by. */
  queueMax: "x-meridian-queue-max-ms",
  /** With it: the model and about how many tokens, so that it can be refused before its body has come. */
  model: "x-meridian-model",
  tokens: "x-meridian-tokens",
  /** In a refusal: how long the request would have waited. */
  queue: "x-meridian-queue-ms",
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
export function upstreamHeaders(
  exchange: Exchange,
  { candidate, queueMaxMs }: Choice,
  isContinuation: boolean,
): HeaderList {
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
  if (candidate.kind === "peer") {
    addHopHeaders(exchange, headers);
    if (queueMaxMs !== undefined) addQueueHeaders(exchange, headers, queueMaxMs);
    if (isContinuation) headers.push(hop.continues, "1");
  }
  return headers;
}

function addHopHeaders(exchange: Exchange, headers: HeaderList): void {
  const { context, attempts, facts } = exchange;
  // The other region takes the same route only if it sees what that goes by.
  for (const [name, value] of Object.entries(facts?.headers ?? {})) headers.push(name, value);
  headers.push(hop.tenant, exchange.tenant, hop.from, context.settings.region);
  const leftMs = (attempts?.deadlineAt() ?? Number.POSITIVE_INFINITY) - context.clock.now();
  if (Number.isFinite(leftMs)) headers.push(hop.timeout, String(Math.max(1, Math.ceil(leftMs))));
}

function addQueueHeaders({ facts }: Exchange, headers: HeaderList, queueMaxMs: number): void {
  headers.push(hop.queueMax, String(queueMaxMs));
  const model = facts === undefined ? undefined : encodeModel(facts.model);
  if (facts === undefined || model === undefined) return;
  const tokens = facts.inputTokens + (facts.outputTokensMax ?? 0);
  headers.push(hop.model, model, hop.tokens, String(Math.min(99_999_999, Math.ceil(tokens))));
}

/** Longer ones, and what is no text, are told in the body alone: a route may take whatever clients write. */
const modelLengthMax = 256;

/** Models' names may hold what headers can't. undefined: not fit for a header. */
export function encodeModel(model: string): string | undefined {
  if (model.length > modelLengthMax) return undefined;
  try {
    return encodeURIComponent(model);
  } catch {
    // Half of a surrogate pair.
    return undefined;
  }
}

/** The head of an answer that an upstream gave. */
export function answerHeaders(exchange: Exchange, call: UpstreamCall): HeaderList {
  const { candidate } = call;
  const isPeer = candidate.kind === "peer";
  const headers = ownHeaders(exchange);
  headers.push(
    "content-type",
    contentType(call),
    "x-meridian-region",
    (isPeer ? text(call.headers["x-meridian-region"]) : undefined) ?? candidate.region,
    "x-meridian-backend",
    (isPeer ? text(call.headers["x-meridian-backend"]) : candidate.name) ?? "",
  );
  if (call.tap !== undefined) headers.push("cache-control", "no-cache", "x-accel-buffering", "no");
  return headers;
}

/** For people and tools who read the stream: where it went on, and why. */
export function seamNote(call: UpstreamCall, failure: UpstreamFailure | undefined): string {
  const { kind, name, region } = call.candidate;
  const where = kind === "peer" ? region : name;
  return `meridian: continued on ${where} after ${failure?.kind ?? "a failure"}`;
}

/** A whole answer that became a stream is one, whatever its server called it. */
function contentType({ headers, tap }: UpstreamCall): string {
  const told = text(headers["content-type"]);
  if (tap !== undefined && told?.startsWith("text/event-stream") !== true) {
    return "text/event-stream; charset=utf-8";
  }
  return told ?? "application/json";
}

/** On every answer, refusals included. */
export function ownHeaders(exchange: Exchange): HeaderList {
  const { arrival, attempts, context } = exchange;
  const headers: HeaderList = [
    "x-request-id",
    arrival.requestId,
    "x-meridian-decision",
    arrival.decisionId,
    "server-timing",
    exchange.timing.header(),
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

/** The caller's limit in milliseconds, by either header; of two the smaller. undefined: none that can be read. */
export function readDeadlineMs(headers: IncomingHttpHeaders): number | undefined {
  const own = readTimeoutMs(headers[hop.timeout]);
  const grpc = readGrpcTimeoutMs(headers["grpc-timeout"]);
  if (own === undefined || grpc === undefined) return own ?? grpc;
  return Math.min(own, grpc);
}

/** Between proxies alone. undefined: any queue is better than what the sender has. */
export function readQueueMaxMs(headers: IncomingHttpHeaders): number | undefined {
  const value = headers[hop.queueMax];
  return typeof value === "string" && /^\d{1,8}$/.test(value) ? Number(value) : undefined;
}

/** Between proxies alone: enough to refuse a request by. undefined: something is missing, or is not fit. */
export function readHopHead(
  headers: IncomingHttpHeaders,
): { readonly model: string; readonly tokens: number; readonly queueMaxMs: number } | undefined {
  const queueMaxMs = readQueueMaxMs(headers);
  const tokens = headers[hop.tokens];
  const model = decoded(headers[hop.model]);
  if (queueMaxMs === undefined || model === undefined) return undefined;
  if (typeof tokens !== "string" || !/^\d{1,8}$/.test(tokens)) return undefined;
  return { model, tokens: Number(tokens), queueMaxMs };
}

function decoded(value: HeaderValue): string | undefined {
  if (typeof value !== "string") return undefined;
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}

type HeaderValue = string | string[] | undefined;

/** A positive whole number of milliseconds, of at most 8 digits. */
function readTimeoutMs(value: HeaderValue): number | undefined {
  if (typeof value !== "string" || !/^[1-9]\d{0,7}$/.test(value)) return undefined;
  return Number(value);
}

const grpcUnitMs: { readonly [unit: string]: number } = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** gRPC's form: at most 8 digits and a unit, 5S. Source: gRPC over HTTP/2, Requests. */
function readGrpcTimeoutMs(value: HeaderValue): number | undefined {
  const [, digits, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(String(value ?? "")) ?? [];
  const unitMs = grpcUnitMs[unit];
  if (digits === undefined || unitMs === undefined) return undefined;
  return Math.max(1, Math.ceil(Number(digits) * unitMs));
}
