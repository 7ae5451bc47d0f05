// The lane up: one report a second, sooner where backends fail, at most one unacknowledged. A report that can't go is not
// made, so that what it would have counted stands in the next one: replaced, never queued.

import { fullJitterMs, type Instant, type Random } from "@meridian/proto/base";

export type ReportLane = {
  /** What to do now. `report`: make a frame with this sequence and send it. */
  readonly step: (event: ReportEvent, now: Instant) => ReportCommand;
};

export type ReportEvent =
  /** Regularly, about ten times a second. isPressing: there is news that should not wait; asked only if it may go. */
  | { readonly kind: "time"; readonly isPressing?: () => boolean }
  /** There is a control plane to open the lane to (again). */
  | { readonly kind: "ready" }
  /** There is none any more; the stream is gone. */
  | { readonly kind: "gone" }
  | { readonly kind: "acknowledged"; readonly sequence: bigint }
  /** The stream ended or failed, while the control plane may still be there. */
  | { readonly kind: "closed" };

export type ReportCommand =
  | { readonly kind: "nothing" }
  | { readonly kind: "open" }
  | { readonly kind: "close" }
  | { readonly kind: "report"; readonly sequence: bigint };

const everyMs = 1_000;
/** And never sooner than so long after the last one. */
const soonestMs = 250;
/** An acknowledgement that takes longer is not going to come. */
const answerMs = 5_000;
const backoff = { baseMs: 500, capMs: 30_000 };

type Lane =
  | { readonly kind: "gone" }
  | { readonly kind: "waiting"; readonly until: Instant }
  | { readonly kind: "free"; readonly dueAt: Instant; readonly soonestAt: Instant }
  | { readonly kind: "unacknowledged"; readonly sequence: bigint; readonly sentAt: Instant };

export function createReportLane(random: Random): ReportLane {
  let lane: Lane = { kind: "gone" };
  let sequence = 0n;
  let failures = 0;

  function wait(now: Instant): void {
    lane = { kind: "waiting", until: now + fullJitterMs(failures, backoff, random) };
    failures += 1;
  }

  function onTime(now: Instant, isPressing: () => boolean): ReportCommand {
    if (lane.kind === "waiting" && now >= lane.until) {
      lane = { kind: "free", dueAt: now, soonestAt: now };
      return { kind: "open" };
    }
    if (lane.kind === "free" && (now >= lane.dueAt || (now >= lane.soonestAt && isPressing()))) {
      sequence += 1n;
      lane = { kind: "unacknowledged", sequence, sentAt: now };
      return { kind: "report", sequence };
    }
    if (lane.kind === "unacknowledged" && now >= lane.sentAt + answerMs) {
      wait(now);
      return { kind: "close" };
    }
    return { kind: "nothing" };
  }

  function step(event: ReportEvent, now: Instant): ReportCommand {
    switch (event.kind) {
      case "time":
        return onTime(now, event.isPressing ?? (() => false));
      case "ready":
        failures = 0;
        lane = { kind: "free", dueAt: now, soonestAt: now };
        return { kind: "open" };
      case "gone":
        lane = { kind: "gone" };
        return { kind: "close" };
      case "acknowledged":
        if (lane.kind !== "unacknowledged" || lane.sequence !== event.sequence) break;
        failures = 0;
        lane = {
          kind: "free",
          dueAt: lane.sentAt + everyMs,
          soonestAt: lane.sentAt + soonestMs,
        };
        break;
      case "closed":
        if (lane.kind === "free" || lane.kind === "unacknowledged") wait(now);
        break;
    }
    return { kind: "nothing" };
  }
  return { step };
}
