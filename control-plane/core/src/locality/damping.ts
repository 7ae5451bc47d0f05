// A row of the table moves towards its aim in steps: away from home fast, back slowly. Failing back is always slower than
// failing over, or two regions would throw the same requests at each other (reference 3.2).

/** Shares of a region's demand that go to other regions, 0 to 1; what is not named stays at home. */
export type Shares = ReadonlyMap<string, number>;

export type DampStep = {
  readonly aim: Shares;
  /** The region itself can serve nobody: there is nothing to wait for. */
  readonly isHomeDown: boolean;
  /** Regions that can take nobody: nothing more goes there. */
  readonly closed: ReadonlySet<string>;
  /** Since the step before. */
  readonly elapsedMs: number;
};

/** Shares of the demand per second. Back: 5 % in ten seconds. */
export const dampLimits = { awayPerSecond: 0.2, backPerSecond: 0.005 } as const;

/** The row after one step. One that begins has nothing to go on from and is its aim. No share passes its aim. */
export function damp(former: Shares | undefined, step: DampStep): Shares {
  const { aim, isHomeDown, closed } = step;
  if (former === undefined || isHomeDown) return aim;
  const seconds = Math.max(0, step.elapsedMs) / 1_000;
  const names = [...new Set([...former.keys(), ...aim.keys()])].sort();
  const now = names.map((name) => (closed.has(name) ? 0 : (former.get(name) ?? 0)));
  const aims = names.map((name) => aim.get(name) ?? 0);
  const wanted = total(aims) > total(now) ? rise(now, aims, seconds) : fall(now, aims, seconds);
  // What moves from one region to another moves towards a remote one, too.
  const gains = total(wanted.map((each, at) => Math.max(0, each - (now[at] ?? 0))));
  const most = dampLimits.awayPerSecond * seconds;
  const next = blend(now, wanted, gains > most ? most / gains : 1);
  const shares = names.map((name, at) => [name, next[at] ?? 0] as const);
  // A region that the aim no longer names stays as long as something goes there.
  return new Map(shares.filter(([name, share]) => share > 0 || aim.has(name)));
}

/** More goes away. */
function rise(now: readonly number[], aims: readonly number[], seconds: number): readonly number[] {
  const missing = total(aims) - total(now);
  return blend(now, aims, Math.min(1, (dampLimits.awayPerSecond * seconds) / missing));
}

/** Less goes away: what is above its aim comes back slowly, and nothing gets more than its aim for it. */
function fall(now: readonly number[], aims: readonly number[], seconds: number): readonly number[] {
  const above = total(now.map((each, at) => Math.max(0, each - (aims[at] ?? 0))));
  const surplus = total(now) - total(aims) - dampLimits.backPerSecond * seconds;
  const kept = above > 0 ? Math.max(0, surplus) / above : 0;
  return aims.map((aim, at) => aim + Math.max(0, (now[at] ?? 0) - aim) * kept);
}

function blend(from: readonly number[], to: readonly number[], part: number): readonly number[] {
  return from.map((each, at) => {
    const aim = to[at] ?? 0;
    return part === 1 ? aim : each + (aim - each) * part;
  });
}

function total(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0);
}
