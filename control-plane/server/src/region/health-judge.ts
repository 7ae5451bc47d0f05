// Ticks the judge of backends each second, hurries it between, and tells what changed.

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
  readonly #timers: readonly NodeJS.Timeout[];

  constructor({ clock, recall, onChange }: HealthJudgeOptions) {
    this.health = new RegionHealth(recall);
    const tell = (changes: readonly VerdictChange[]): void => {
      if (changes.length > 0) onChange(changes);
    };
    this.#timers = [
      setInterval(() => tell(this.health.tick(clock.now())), regionHealthLimits.tickMs),
      setInterval(() => tell(this.health.hurry(clock.now())), regionHealthLimits.hurryMs),
    ];
  }

  close(): void {
    for (const each of this.#timers) clearInterval(each);
  }
}
