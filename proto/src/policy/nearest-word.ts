// "Did you mean": the word of a list that a mistyped one is closest to.

/** Longer texts are nobody's typing mistake; it also bounds the work. */
const lengthMax = 40;

/** undefined: none is close. Differences of case, hyphens and underscores don't count. */
export function nearestWord(text: string, words: Iterable<string>): string | undefined {
  if (text.length > lengthMax) return undefined;
  const plain = plainForm(text);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const word of words) {
    // Their lengths alone set them farther apart than the best so far.
    if (Math.abs(word.length - text.length) > bestDistance + 4 || word.length > lengthMax) continue;
    const distance = editDistance(plain, plainForm(word));
    if (distance >= bestDistance) continue;
    bestDistance = distance;
    best = word;
  }
  return best;
}

function plainForm(text: string): string {
  return text.toLowerCase().replace(/[-_\s]/g, "");
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let twoAgo: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwap = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const replaced = (previous[column - 1] ?? 0) + (isSame ? 0 : 1);
      const swapped = isSwap ? (twoAgo[column - 2] ?? 0) + 1 : replaced;
      const inserted = (current[column - 1] ?? 0) + 1;
      const deleted = (previous[column] ?? 0) + 1;
      current.push(Math.min(replaced, swapped, inserted, deleted));
    }
    twoAgo = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
