// Explains a request: asks the proxies that follow this control plane, and the other control planes for theirs. Nothing is
// kept here; proxies remember.

import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import type { Proxies, ProxyCondition } from "@meridian/control-core/fleet";
import { type Clock, formatDuration, ok, type Result } from "@meridian/proto/base";
import {
  AdminService,
  type ExplainRequest,
  type ExplainResponse,
  ExplainResponseSchema,
} from "@meridian/proto/gen/admin_pb";
import {
  type AskedProxy,
  AskedProxySchema,
  type DecisionRecord,
} from "@meridian/proto/gen/decision_pb";
import { type CallRefusal, refuse } from "../grpc/caller.ts";
import type { ControlPlaneRow } from "../region/registration.ts";
import { answerMs, type ProxyAnswer, type QuestionLane } from "../sync/question-lane.ts";
import type { PeerAnswer, Peers } from "./peers.ts";

export type ExplanationsOptions = {
  readonly clock: Clock;
  readonly proxies: Proxies;
  readonly questions: Pick<QuestionLane, "ask">;
  readonly peers: Peers;
  /** Registered control planes but this one. */
  readonly others: () => readonly ControlPlaneRow[];
};

/** As the proxies take them; nothing else can be an id. */
const idForm = /^[\w.:-]{1,128}$/;
/** A client may send one request id to every proxy again and again. */
const recordsMax = 64;
/** How far the clocks of two regions may be apart. */
const clockSkewMs = 2_000;
/** A peer waits for its own proxies first. */
const peerMs = answerMs + 1_000;

export class Explanations {
  readonly #options: ExplanationsOptions;

  constructor(options: ExplanationsOptions) {
    this.#options = options;
  }

  async explain(request: ExplainRequest): Promise<Result<ExplainResponse, CallRefusal>> {
    const { id, localOnly } = request;
    if (!idForm.test(id)) {
      const form = "letters, digits, _ . : -, at most 128";
      return refuse(status.INVALID_ARGUMENT, `that is no id of a decision or a request: ${form}`);
    }
    const found = await this.#ask(id, localOnly);
    const otherId = localOnly ? undefined : otherSide(id, found.records);
    if (otherId === undefined) return ok(found);
    return ok(withOtherSide(found, await this.#ask(otherId, false)));
  }

  async #ask(id: string, localOnly: boolean): Promise<ExplainResponse> {
    const { clock, proxies, questions, peers, others } = this.#options;
    const question = {
      method: AdminService.method.explain,
      request: { id, localOnly: true },
      withinMs: peerMs,
    };
    const [own, answers] = await Promise.all([
      questions.ask(id),
      localOnly ? [] : peers.ask(others(), question),
    ]);
    return mergeExplanations(localExplanation(own, proxies.list(clock.now())), answers);
  }
}

/** What the own proxies said. Those that report and were not asked are named, too. */
export function localExplanation(
  answers: readonly ProxyAnswer[],
  known: readonly ProxyCondition[],
): ExplainResponse {
  const asked = new Set(answers.map(({ node }) => keyOf(node.region, node.id)));
  const unasked = known.filter((each) => !asked.has(keyOf(each.region, each.id)));
  return create(ExplainResponseSchema, {
    records: answers.flatMap(recordsOf),
    proxies: [...answers.map(askedProxy), ...unasked.map(unaskedProxy)],
  });
}

/** The whole fleet's: by arrival, and the region that took a request from its client first. */
export function mergeExplanations(
  own: ExplainResponse,
  answers: readonly PeerAnswer<ExplainResponse>[],
): ExplainResponse {
  const known = [own, ...answers.flatMap(({ answer }) => (answer === undefined ? [] : [answer]))];
  return create(ExplainResponseSchema, {
    records: inOrder(known.flatMap((each) => each.records)),
    proxies: bestAnswers(known.flatMap((each) => each.proxies)),
    unreachedControlPlanes: answers
      .filter(({ answer }) => answer === undefined)
      .map(({ row }) => row.id)
      .sort(),
  });
}

/** The certificate says the region and the stream the name, whatever a record says. */
function recordsOf(answer: ProxyAnswer): readonly DecisionRecord[] {
  if (answer.kind === "silent") return [];
  const { id, region } = answer.node;
  return answer.explanation.records.map((each) => ({ ...each, proxy: id, region }));
}

function askedProxy(answer: ProxyAnswer): AskedProxy {
  const { id: proxy, region } = answer.node;
  if (answer.kind === "silent") {
    return create(AskedProxySchema, { proxy, region, failure: answer.reason });
  }
  const { oldestMs, failure } = answer.explanation;
  return create(AskedProxySchema, { proxy, region, oldestMs, failure });
}

function unaskedProxy({ id, region, seenMs, isFresh }: ProxyCondition): AskedProxy {
  const failure = isFresh
    ? "it takes no questions: of an older build, or just connecting"
    : `not heard of for ${formatDuration(seenMs)}`;
  return create(AskedProxySchema, { proxy: id, region, failure });
}

/** A proxy that changed its control plane is known to two; only one can ask it. */
function bestAnswers(all: readonly AskedProxy[]): AskedProxy[] {
  const found = new Map<string, AskedProxy>();
  for (const each of all) {
    const key = keyOf(each.region, each.proxy);
    const other = found.get(key);
    if (other === undefined || (other.failure !== "" && each.failure === "")) found.set(key, each);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}

/** The request id under which the other region's record of a hop is found; undefined: there was no hop. */
function otherSide(id: string, records: readonly DecisionRecord[]): string | undefined {
  const [record] = records;
  if (record === undefined || record.id !== id) return undefined;
  const isHop =
    record.arrivedFrom !== "" || record.attempts.some((each) => each.targetKind === "peer");
  return isHop ? record.requestId : undefined;
}

/** Clients may use a request id again, so what was not under way at the same time does not belong here. */
export function withOtherSide(found: ExplainResponse, more: ExplainResponse): ExplainResponse {
  const [record] = found.records;
  const others = more.records.filter((each) => record !== undefined && wereTogether(record, each));
  return { ...more, records: inOrder([...found.records, ...others]) };
}

function wereTogether(a: DecisionRecord, b: DecisionRecord): boolean {
  const apartMs = Math.abs(Number(a.arrivedMs - b.arrivedMs));
  return apartMs <= Math.max(a.durationMs, b.durationMs) + clockSkewMs;
}

/** Each record once. */
function inOrder(records: readonly DecisionRecord[]): DecisionRecord[] {
  const byKey = new Map(
    records.map((each) => [`${keyOf(each.region, each.proxy)}/${each.id}`, each]),
  );
  return [...byKey.values()].sort(compare).slice(0, recordsMax);
}

/** Clocks of two regions differ by more than a hop takes, so the hop itself decides first. */
function compare(a: DecisionRecord, b: DecisionRecord): number {
  const byRequest = a.requestId === b.requestId ? 0 : a.requestId < b.requestId ? -1 : 1;
  const byHop = Number(a.arrivedFrom !== "") - Number(b.arrivedFrom !== "");
  return byRequest || byHop || Number(a.arrivedMs - b.arrivedMs);
}

function keyOf(region: string, id: string): string {
  return `${region}/${id}`;
}
