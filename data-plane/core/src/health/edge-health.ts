// Whether clients' requests are answered at this region's edge, by the test that also takes a backend out: 10 % that fail
// are borne, 50 % are noticed. A region that fails its clients is left, whatever its backends say of themselves.

import type { Instant } from "@meridian/proto/base";
import { type CusumTest, stepCusum } from "@meridian/proto/stats";

/** That of a backend's outage. At 1 % failing a false alarm comes each 5e11 requests, at 5 % each 1e7 (exact). */
export const edgeTest: CusumTest = { p0: 0.1, p1: 0.5, h: 9.2 };

/** So long without an alarm brings the edge back: clients that have left can't tell whether it is well. */
const edgeReturnMs = 60_000;

/** One second's growth of an engine's totals. */
export type EdgeCounts = { readonly answered: number; readonly failed: number };

export type EdgeHealth = {
  readonly sum: number;
  /** Requests since the sum left 0, and those of them that failed. */
  readonly n: number;
  readonly failed: number;
  /** The newest alarm. */
  readonly alarm: { readonly at: Instant; readonly n: number; readonly failed: number } | undefined;
};

export const calmEdge: EdgeHealth = { sum: 0, n: 0, failed: 0, alarm: undefined };

/** Without requests nothing is learned, and nothing forgotten: after a return the next failures weigh at once. */
export function stepEdge(edge: EdgeHealth, counts: EdgeCounts, now: Instant): EdgeHealth {
  const more = counts.answered + counts.failed;
  if (more === 0) return edge;
  const sum = stepCusum(edge.sum, { n: more, bad: counts.failed }, edgeTest);
  if (sum === 0) return { ...calmEdge, alarm: edge.alarm };
  const n = edge.n + more;
  const failed = edge.failed + counts.failed;
  if (sum < edgeTest.h) return { sum, n, failed, alarm: edge.alarm };
  return { sum: edgeTest.h, n, failed, alarm: { at: now, n, failed } };
}

/** Why clients should not be sent here; undefined: nothing speaks against it. */
export function edgeTrouble({ alarm }: EdgeHealth, now: Instant): string | undefined {
  if (alarm === undefined || now - alarm.at >= edgeReturnMs) return undefined;
  return `${alarm.failed} of ${alarm.n} requests of clients failed here`;
}
