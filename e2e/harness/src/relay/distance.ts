// How far apart places are. A place is a region, or whatever else has a name and a distance to others.

/** The time from one place to another and back. */
export type RoundTrip = { readonly from: string; readonly to: string; readonly rttMs: number };

/** The three regions that Meridian is shown and measured with; the figures are those between real clouds' regions. */
export const regionDistances: readonly RoundTrip[] = [
  { from: "us-east", to: "eu-west", rttMs: 80 },
  { from: "us-east", to: "ap-south", rttMs: 150 },
  { from: "eu-west", to: "ap-south", rttMs: 210 },
];

/** Distances between pairs; the order of a pair does not matter, and what was never set is 0. */
export type Distances = {
  readonly set: (distance: RoundTrip) => void;
  /** The round trip. An unknown `from` is taken to be as far away as anything is from `to`. */
  readonly rttMs: (from: string | undefined, to: string) => number;
};

export function openDistances(): Distances {
  const byPair = new Map<string, RoundTrip>();

  function farthestMs(to: string): number {
    const touching = [...byPair.values()].filter((each) => each.from === to || each.to === to);
    return Math.max(0, ...touching.map((each) => each.rttMs));
  }

  return {
    set: (distance) => byPair.set(pairName(distance.from, distance.to), distance),
    rttMs: (from, to) =>
      from === undefined ? farthestMs(to) : (byPair.get(pairName(from, to))?.rttMs ?? 0),
  };
}

function pairName(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
