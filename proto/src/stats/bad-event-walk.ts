// The sum of a sequential test after t events is told by the number of bad ones among them. So its chances are followed
// exactly, by that number, without rounding the sum to a grid.

/** Chance still undecided below which the rest is left out. */
const remainder = 1e-15;
const stepsMax = 100_000;

/** Where the walk stands after so many events: it goes on, or it has ended in one of two ways. */
export type WalkPlace = "on" | "counted" | "other";

export type WalkOutcome = {
  /** Chance to end as `counted`. */
  readonly counted: number;
  /** Mean number of events until it ends. */
  readonly meanEvents: number;
};

/**
 * Follows a walk from its start, where each event is bad with the chance `p`.
 *
 * @example followWalk(0.5, (bad, good) => (bad === 2 ? "counted" : good === 2 ? "other" : "on")) // first to two
 */
export function followWalk(
  p: number,
  placeOf: (bad: number, good: number) => WalkPlace,
): WalkOutcome {
  // By the number of bad events: few of them are still on at the same time.
  let chances = new Map<number, number>([[0, 1]]);
  let alive = 1;
  let counted = 0;
  let meanEvents = 0;
  for (let step = 1; step <= stepsMax && alive > remainder; step++) {
    meanEvents += alive;
    const next = new Map<number, number>();
    alive = 0;
    const arrive = (bad: number, chance: number): void => {
      const place = placeOf(bad, step - bad);
      if (place === "counted") counted += chance;
      if (place !== "on") return;
      next.set(bad, (next.get(bad) ?? 0) + chance);
      alive += chance;
    };
    for (const [bad, chance] of chances) {
      arrive(bad, chance * (1 - p));
      arrive(bad + 1, chance * p);
    }
    chances = next;
  }
  return { counted, meanEvents };
}
