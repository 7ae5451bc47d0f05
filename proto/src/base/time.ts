// Time as values. Cores never read a clock: `now` is an argument.

/** Milliseconds of a monotonic clock of one process; only differences mean something. */
export type Instant = number;

/** Milliseconds since 1970 UTC; for people and for what crosses processes, never for measuring. */
export type WallTime = number;

/** The clocks of a shell. Cores get `now` instead. */
export type Clock = {
  /** Monotonic; never goes back. */
  readonly now: () => Instant;
  readonly wall: () => WallTime;
};

/** `850 ms`, `12 s`, `3 min`, `2 h`, for people. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}
