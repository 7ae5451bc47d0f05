// Only so many full snapshots are under way at once: in a connect storm doing less at a time is faster (istio #35263).

/** First come, first served. Holds an id at most once; whoever closes must leave. */
export type Pacing = {
  /** Asks for a place; true: it is given at once. Asking again changes nothing. */
  readonly enter: (id: string) => boolean;
  /** Gives a place back, or stops waiting for one; returns who gets the place now, if anybody. */
  readonly leave: (id: string) => string | undefined;
  readonly underWay: () => number;
  readonly waiting: () => number;
};

/** Source: reference 1.4, "admit 50 initial snapshots at a time". */
const defaultPlaces = 50;

export function createPacing(places: number = defaultPlaces): Pacing {
  const inside = new Set<string>();
  // Sets keep the order of insertion, which makes this a queue from which anybody may be taken out.
  const queue = new Set<string>();
  return {
    enter: (id) => {
      if (inside.has(id)) return true;
      if (inside.size < places) inside.add(id);
      else queue.add(id);
      return inside.has(id);
    },
    leave: (id) => {
      queue.delete(id);
      if (!inside.delete(id)) return undefined;
      const [next] = queue;
      if (next === undefined) return undefined;
      queue.delete(next);
      inside.add(next);
      return next;
    },
    underWay: () => inside.size,
    waiting: () => queue.size,
  };
}
