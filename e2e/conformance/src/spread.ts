// A few of many cells, the same ones each time: in steps over the list, so that every fault and moment has its share.

/** At most `max` of them, in their order. */
export function spread<C>(cells: readonly C[], max: number): readonly C[] {
  if (cells.length <= max) return cells;
  const step = cells.length / Math.floor(max);
  return Array.from(
    { length: Math.floor(max) },
    (_, index) => cells[Math.floor(index * step)],
  ).filter((each) => each !== undefined);
}
