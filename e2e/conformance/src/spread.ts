// A few of many cells, the same ones each time: one of every kind first, at other modes and alternatives from kind to
// kind, then further ones in turn.

/** Coprime to the sizes of groups: neighbours take members at different places. */
const stride = 7;

/** At most `max` of them, in their order; every kind that `kindOf` tells apart is there, as far as `max` reaches. */
export function spread<C>(
  cells: readonly C[],
  max: number,
  kindOf: (cell: C) => string,
): readonly C[] {
  if (cells.length <= max) return cells;
  const groups = new Map<string, C[]>();
  for (const cell of cells) {
    const group = groups.get(kindOf(cell)) ?? [];
    group.push(cell);
    groups.set(kindOf(cell), group);
  }
  const chosen = new Set<C>();
  for (let round = 0; chosen.size < max; round++) {
    let number = 0;
    for (const group of groups.values()) {
      number += 1;
      const cell = group[(round + number * stride) % group.length];
      if (round < group.length && cell !== undefined && chosen.size < max) chosen.add(cell);
    }
  }
  return cells.filter((each) => chosen.has(each));
}
