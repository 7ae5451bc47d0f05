// The records as the operations port shows them: JSON for `meridian explain --ops` and for whoever is on the machine when
// no control plane answers.

import { create, toJson } from "@bufbuild/protobuf";
import { ExplainResponseSchema } from "@meridian/proto/gen/admin_pb";
import type { DecisionRecord } from "@meridian/proto/gen/decision_pb";
import type { Decisions } from "./decisions.ts";

export type DecisionPages = {
  /** /decisions/ID: an ExplainResponse; 404 when nothing is known. */
  readonly one: (id: string) => Promise<Page>;
  /** /decisions?limit=N: what ended last, in short. */
  readonly latest: (limit: string | null) => Promise<Page>;
};

/** `value` is to be sent as JSON. */
export type Page = { readonly status: number; readonly value: unknown };

const latestDefault = 50;
const latestMax = 1_000;

export function createDecisionPages(
  decisions: Pick<Decisions, "find" | "latest">,
  who: { readonly id: string; readonly region: string },
): DecisionPages {
  return {
    one: async (id) => {
      const { records, oldestMs } = await decisions.find(id);
      const asked = { proxy: who.id, region: who.region, oldestMs: BigInt(oldestMs) };
      const answer = create(ExplainResponseSchema, { records: [...records], proxies: [asked] });
      return {
        status: records.length === 0 ? 404 : 200,
        value: toJson(ExplainResponseSchema, answer),
      };
    },
    latest: async (limit) => {
      const count = limit === null ? latestDefault : Number(limit);
      if (!Number.isInteger(count) || count < 1 || count > latestMax) {
        return { status: 400, value: { error: `limit is a number from 1 to ${latestMax}` } };
      }
      return { status: 200, value: { decisions: (await decisions.latest(count)).map(summary) } };
    },
  };
}

function summary(record: DecisionRecord): object {
  return {
    id: record.id,
    requestId: record.requestId,
    arrived: new Date(Number(record.arrivedMs)).toISOString(),
    tenant: record.tenant,
    model: record.model,
    ending: record.ending,
    status: record.status,
    errorCode: record.errorCode,
    answeredBy: record.answeredBy,
    attempts: record.attempts.map(({ target, role, outcome }) => `${role} ${target} ${outcome}`),
    firstTokenMs: record.firstTokenMs,
    durationMs: record.durationMs,
  };
}
