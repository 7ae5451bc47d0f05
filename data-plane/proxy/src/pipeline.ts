// The life of a request, as a list of stages. Each stage says whether the next one follows, whether the request waits
// for something to happen (its body, a token, an end), or why it is refused. Refusals are settled like everything else.

import { ownTenant } from "@meridian/data-core/engine";
import { problem } from "@meridian/proto/base";
import type { ClientError } from "@meridian/wire";
import { authenticateRequest } from "./server/authenticate.ts";
import type { Exchange } from "./server/exchange.ts";
import { clientError, refusalError } from "./server/refusals.ts";
import { factsOfHead, requestFacts } from "./server/request-facts.ts";
import { settle } from "./server/settle.ts";
import { hop } from "./server/wire-headers.ts";

type StageName = "authenticate" | "decode" | "admit" | "plan" | "attempt" | "relay" | "settle";

/** `next`, `wait` (the same stage runs again, or a later one is resumed), or a refusal. */
type StageResult = "next" | "wait" | ClientError;

type Stage = { readonly name: StageName; readonly run: (exchange: Exchange) => StageResult };

const stages: readonly Stage[] = [
  { name: "authenticate", run: whoAsks },
  { name: "decode", run: decode },
  { name: "admit", run: admit },
  { name: "plan", run: plan },
  // Waits until a token comes (relay) or nobody answers (settle).
  { name: "attempt", run: attempt },
  // Waits for the end of the answer.
  { name: "relay", run: relay },
  { name: "settle", run: finish },
];

const indexOf = (name: StageName): number => stages.findIndex((each) => each.name === name);
const places = { relay: indexOf("relay"), settle: indexOf("settle") } as const;

/** Runs stages until one waits, or the request is settled. */
export function advance(exchange: Exchange): void {
  for (;;) {
    const stage = stages[exchange.stage];
    if (stage === undefined) return;
    const result = stage.run(exchange);
    if (result === "wait") return;
    if (result === "next") exchange.stage += 1;
    else {
      exchange.context.refuse(exchange, result);
      exchange.stage = places.settle;
    }
  }
}

/** Goes on with a later stage, once what it waits for has happened. */
export function resume(exchange: Exchange, stage: "relay" | "settle"): void {
  exchange.stage = places[stage];
  advance(exchange);
}

/** Another region's proxy has authenticated the client; its word is taken, as its certificate was checked. */
function whoAsks(exchange: Exchange): StageResult {
  const { context, request, arrival } = exchange;
  if (context.isDraining()) {
    return clientError("overloaded", [
      problem(
        "draining",
        "",
        "this proxy is going out of service",
        "try again; another takes over",
      ),
    ]);
  }
  const serving = context.engine.serving();
  if (serving === undefined) {
    return clientError("overloaded", [problem("not_ready", "", "this proxy has no policy yet")]);
  }
  if (arrival.arrivedFrom !== undefined) {
    exchange.tenant = arrival.isSynthetic ? ownTenant : tenantOf(request.headers[hop.tenant]);
    return refusedOnHead(exchange) ?? "next";
  }
  const tenant = authenticateRequest(serving, request);
  if (tenant.kind === "err") return clientError("authentication", [tenant.error]);
  exchange.tenant = tenant.value;
  return "next";
}

/** Nobody is sent on in the name of the proxies themselves. */
function tenantOf(told: string | string[] | undefined): string {
  return typeof told === "string" && told !== ownTenant ? told : "";
}

/** Before its body has come: only that the queue here is too long. What else speaks against it is looked at as always. */
function refusedOnHead(exchange: Exchange): ClientError | undefined {
  const { context } = exchange;
  const now = context.clock.now();
  const facts = factsOfHead(exchange, now);
  const admission = facts === undefined ? undefined : context.engine.admit(facts, now);
  if (admission?.kind !== "refused" || admission.refusal.queueMs === undefined) return undefined;
  exchange.queueMs = admission.refusal.queueMs;
  return refusalError(admission.refusal);
}

function decode(exchange: Exchange): StageResult {
  const { arrival, body, context, request } = exchange;
  if (body === undefined) return "wait";
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    const message = "compressed bodies are not taken";
    return clientError("unsupported-media", [problem("content_encoding", "", message)]);
  }
  exchange.text = body.toString("latin1");
  const decoded = context.protocol.decodeRequest(arrival.kind, exchange.text);
  if (decoded.kind === "err") return clientError("invalid-request", decoded.error);
  exchange.decoded = decoded.value;
  return "next";
}

function admit(exchange: Exchange): StageResult {
  const { context, decoded } = exchange;
  if (decoded === undefined) return "wait";
  const now = context.clock.now();
  exchange.facts = requestFacts(exchange, decoded, now);
  const admission = context.engine.admit(exchange.facts, now);
  if (admission.kind === "refused") {
    exchange.queueMs = admission.refusal.queueMs;
    return refusalError(admission.refusal);
  }
  exchange.route = admission.route;
  exchange.model = admission.model;
  return "next";
}

function plan(exchange: Exchange): StageResult {
  const { context, facts } = exchange;
  if (facts === undefined) return "wait";
  exchange.attempts = context.engine.begin(facts, context.clock.now());
  return "next";
}

function attempt(exchange: Exchange): StageResult {
  exchange.start();
  // Its own call is on its way; where it is held, nobody has room for copies.
  if (exchange.call !== undefined) exchange.context.shadows.offer(exchange);
  return "wait";
}

function relay(exchange: Exchange): StageResult {
  exchange.relay();
  return "wait";
}

function finish(exchange: Exchange): StageResult {
  settle(exchange);
  return "next";
}
