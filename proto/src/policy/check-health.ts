// How sure verdicts must be: a number that thresholds can be derived from.

import type { PolicyIndex } from "./policy-index.ts";

const falseAlarms = { min: 0.001, max: 1_000 } as const;

export function checkHealth({ policy, findings }: PolicyIndex): void {
  const perMonth = policy.health?.falseAlarmsPerMonth ?? 0;
  if (perMonth === 0 || (perMonth >= falseAlarms.min && perMonth <= falseAlarms.max)) return;
  const message = `${perMonth} false alarms per month are no aim`;
  const hint = `from ${falseAlarms.min} (hardly ever) to ${falseAlarms.max} (many a day); 1 is usual`;
  findings.refuse("out_of_range", "health.falseAlarmsPerMonth", message, hint);
}
