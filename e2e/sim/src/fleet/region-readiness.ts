// What a proxy tells GeoDNS of its region. Mirrors the shell's region-verdict: left below 30 % of its capacity, and back
// after 60 s at half of it or more.

import type { EngineReport } from "@meridian/data-core/engine";
import type { Instant } from "@meridian/proto/base";

const leaveBelow = 0.3;
const returnFrom = 0.5;
const returnAfterMs = 60_000;

export class RegionReadiness {
  #isDown = false;
  #lowAt: Instant = Number.NEGATIVE_INFINITY;

  /** Whether clients may be sent here. */
  read(report: EngineReport, now: Instant): boolean {
    if (report.version === undefined || report.draining) return false;
    const nominal = report.backends.length;
    const usable = report.backends.reduce(
      (sum, each) => sum + (each.available ? (each.told?.share ?? 1) : 0),
      0,
    );
    const share = nominal === 0 ? 0 : usable / nominal;
    if (share < returnFrom) this.#lowAt = now;
    if (share < leaveBelow) this.#isDown = true;
    else if (share >= returnFrom && now - this.#lowAt >= returnAfterMs) this.#isDown = false;
    return !this.#isDown;
  }
}
