// What an answer that is of no use means: its status, or what is wrong with its body.

import { type UpstreamFailure, upstreamFailure } from "@meridian/data-core/attempt";
import type { AnswerFault } from "@meridian/wire";
import { readRetryAfterMs } from "./retry-after.ts";

export type AnswerHeaders = { readonly [name: string]: string | string[] | undefined };

export function statusFailure(
  status: number,
  headers: AnswerHeaders,
  verdict: "saturated" | "target-fault",
  isPeer: boolean,
): UpstreamFailure {
  const refusal = headers["x-meridian-refusal"];
  // A backend may be a Meridian too; its refusals are a backend's.
  if (isPeer && status === 503 && typeof refusal === "string") {
    const queueMs = readQueueMs(headers["x-meridian-queue-ms"]);
    const told = queueMs === undefined ? { status } : { status, retryAfterMs: queueMs };
    return upstreamFailure("region-refused", `the region refused: ${refusal.slice(0, 40)}`, told);
  }
  const retryAfterMs = readRetryAfterMs(headers["retry-after"]);
  const more = retryAfterMs === undefined ? { status } : { status, retryAfterMs };
  return verdict === "saturated"
    ? upstreamFailure("saturated", `the model server is full (status ${status})`, more)
    : upstreamFailure("status", `the model server answered with status ${status}`, more);
}

/** Of a region that is full: so long a request would wait there. */
function readQueueMs(value: string | string[] | undefined): number | undefined {
  return typeof value === "string" && /^\d{1,8}$/.test(value) ? Number(value) : undefined;
}

export function faultFailure(fault: AnswerFault): UpstreamFailure {
  return upstreamFailure(fault.kind, fault.message);
}
