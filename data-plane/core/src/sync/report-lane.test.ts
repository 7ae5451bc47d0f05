import { seededRandom } from "@meridian/proto/base";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createReportLane, type ReportCommand, type ReportEvent } from "./report-lane.ts";

function lane() {
  return createReportLane(seededRandom("lane"));
}

test("one report a second while each is acknowledged", () => {
  const reports = lane();
  reports.step({ kind: "ready" }, 0);
  const at: number[] = [];
  for (let now = 0; now <= 5_000; now += 100) {
    const command = reports.step({ kind: "time" }, now);
    if (command.kind !== "report") continue;
    at.push(now);
    reports.step({ kind: "acknowledged", sequence: command.sequence }, now + 50);
  }
  expect(at).toEqual([0, 1_000, 2_000, 3_000, 4_000, 5_000]);
});

test("news that presses goes sooner, four times a second at most", () => {
  const reports = lane();
  reports.step({ kind: "ready" }, 0);
  const at: number[] = [];
  for (let now = 0; now <= 4_000; now += 50) {
    const isPressing = () => now >= 1_200 && now < 2_000;
    const command = reports.step({ kind: "time", isPressing }, now);
    if (command.kind !== "report") continue;
    at.push(now);
    reports.step({ kind: "acknowledged", sequence: command.sequence }, now + 20);
  }
  expect(at).toEqual([0, 1_000, 1_250, 1_500, 1_750, 2_750, 3_750]);
});

test("news that presses waits for the acknowledgement like all other", () => {
  const reports = lane();
  reports.step({ kind: "ready" }, 0);
  reports.step({ kind: "time" }, 0);
  expect(reports.step({ kind: "time", isPressing: () => true }, 900).kind).toBe("nothing");
  reports.step({ kind: "acknowledged", sequence: 1n }, 910);
  expect(reports.step({ kind: "time", isPressing: () => true }, 920).kind).toBe("report");
});

test("a lane whose control plane does not acknowledge is closed after 5 s and opened again", () => {
  const reports = lane();
  reports.step({ kind: "ready" }, 0);
  const seen: string[] = [];
  for (let now = 0; now <= 8_000; now += 100) {
    const { kind } = reports.step({ kind: "time" }, now);
    if (kind !== "nothing") seen.push(`${kind} ${now >= 5_000 ? "late" : "early"}`);
  }
  expect(seen.slice(0, 4)).toEqual(["report early", "close late", "open late", "report late"]);
});

test("an acknowledgement of an older report does not free the lane", () => {
  const reports = lane();
  reports.step({ kind: "ready" }, 0);
  reports.step({ kind: "time" }, 0);
  reports.step({ kind: "acknowledged", sequence: 0n }, 10);
  expect(reports.step({ kind: "time" }, 1_500).kind).toBe("nothing");
});

test("in any order of events at most one report is unacknowledged, and sequences grow", () => {
  const event: fc.Arbitrary<ReportEvent | "acknowledge"> = fc.oneof(
    { weight: 6, arbitrary: fc.constant<ReportEvent>({ kind: "time" }) },
    fc.constant<ReportEvent>({ kind: "ready" }),
    fc.constant<ReportEvent>({ kind: "gone" }),
    fc.constant<ReportEvent>({ kind: "closed" }),
    { weight: 3, arbitrary: fc.constant<"acknowledge">("acknowledge") },
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(event, fc.nat(3_000))), (events) => {
      const reports = lane();
      let now = 0;
      let last = 0n;
      let waiting = false;
      let open = false;
      for (const [each, ms] of events) {
        now += ms;
        const sent: ReportEvent =
          each === "acknowledge" ? { kind: "acknowledged", sequence: last } : each;
        const command: ReportCommand = reports.step(sent, now);
        if (sent.kind !== "time") waiting = false;
        if (sent.kind === "closed" || sent.kind === "gone") open = false;
        if (command.kind === "open") open = true;
        if (command.kind === "close") {
          waiting = false;
          open = false;
        }
        if (command.kind !== "report") continue;
        expect(open).toBe(true);
        expect(waiting).toBe(false);
        expect(command.sequence).toBeGreaterThan(last);
        last = command.sequence;
        waiting = true;
      }
    }),
  );
});
