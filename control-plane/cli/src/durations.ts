// Lengths of time as people type them.

import { err, ok, type Result } from "@meridian/proto/base";

const secondsPerUnit: { readonly [unit: string]: number } = { s: 1, m: 60, h: 3_600, d: 86_400 };

/**
 * `90s`, `30m`, `2h`, `1d`, or a sum such as `1h30m`, in whole seconds.
 *
 * @example parseDuration("1h30m") // → { kind: "ok", value: 5400 }
 */
export function parseDuration(text: string): Result<number, string> {
  const parts = [...text.matchAll(/(\d{1,6})([smhd])/g)];
  const whole = parts.map(([part]) => part).join("");
  if (parts.length === 0 || whole !== text) {
    return err(`"${text}" is no length of time: 90s, 30m, 2h or 1h30m`);
  }
  const seconds = parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * (secondsPerUnit[unit ?? ""] ?? 0),
    0,
  );
  return seconds > 0 ? ok(seconds) : err(`"${text}" is no time at all`);
}
