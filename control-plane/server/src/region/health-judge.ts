// Ticks the judge of backends each second, tells what changed, and keeps the wall-clock time of it for people.

import {
  type Recall,
  RegionHealth,
  regionHealthLimits,
  type VerdictChange,
} from "@meridian/control-core/health";
import type { Clock } from "@meridian/proto/base";

export type HealthJudgeOptions = {
  readonly clock: Clock;
  /** What the store holds of a region's backends. */
  readonly recall: Recall;
  /** At least one verdict changed: proxies should know now. */
  readonly onChange: (changes: readonly VerdictChange[]) => void;
};

export class HealthJudge {
  readonly health: RegionHealth;
  readonly #timer: NodeJS.Timeout;

  constructor({ clock, recall, onChange }: HealthJudgeOptions) {
    this.health = new RegionHealth(recall);
    this.#timer = setInterval(() => {
      const changes = this.health.tick(clock.now());
      if (changes.length > 0) onChange(changes);
    }, regionHealthLimits.tickMs);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
