// The largest load at which an objective holds: a walk on a ladder of loads to the rung where it breaks, then a line
// between the two rungs, so that the answer is finer than the ladder.

/** Each rung is so much above the one below. */
const rungRatio = 1.08;
const rungsMax = 40;

/** `valueAt` grows with the load, apart from noise; the result is where it crosses `objective`. */
export function largestLoad(
  valueAt: (load: number) => number,
  { guess, objective }: { readonly guess: number; readonly objective: number },
): number {
  const start = Math.round(Math.log(guess) / Math.log(rungRatio));
  const known = new Map<number, number>();
  const at = (rung: number): number => {
    const value = known.get(rung) ?? valueAt(rungRatio ** rung);
    known.set(rung, value);
    return value;
  };
  let low = start;
  while (at(low) > objective && low > start - rungsMax) low -= 1;
  while (at(low + 1) <= objective && low < start + rungsMax) low += 1;
  return between(rungRatio ** low, at(low), { above: at(low + 1), objective });
}

/** First tokens grow about as a power of the load near the limit: a line between logarithms. */
function between(
  load: number,
  value: number,
  { above, objective }: { readonly above: number; readonly objective: number },
): number {
  // Nothing holds, however little: the lowest rung stands for none.
  if (value > objective) return load;
  const share = Math.log(objective / value) / Math.log(above / value);
  return load * rungRatio ** Math.min(1, Math.max(0, share));
}
