// The control plane is gone: proxies eject by their fast path at once, and when the last word of it is 15 s old they judge
// and readmit by themselves.

import type { Cluster } from "@meridian/harness";
import type { ClientError, PoolLoad } from "./load.ts";
import type { ProxyEvent, ProxyEvents } from "./proxy-events.ts";
import type { SceneBackend, ScenePool } from "./scene.ts";

/** Milliseconds; NaN: it did not come to be. The later proxy counts. */
export type WithoutControlRun = {
  /** While the last word still stood: ejected after the kill, back after the start. */
  readonly heldEjectedMs: number;
  readonly heldBackMs: number;
  /** From the control plane's end until both proxies judged alone. */
  readonly aloneMs: number;
  /** Alone: kept out by the fast path or the own verdict, found unhealthy after the kill, back after the start. */
  readonly keptOutMs: number;
  readonly unhealthyMs: number;
  readonly backMs: number;
  readonly requests: number;
  readonly errors: readonly ClientError[];
};

type Parts = {
  readonly cluster: Cluster;
  readonly pool: ScenePool;
  readonly events: ProxyEvents;
  readonly load: PoolLoad;
};

const soonMs = 10_000;
const aloneWithinMs = 25_000;
const backWithinMs = 150_000;

export async function loseControl({
  cluster,
  pool,
  events,
  load,
}: Parts): Promise<WithoutControlRun> {
  const proxies = cluster.regions.reduce((sum, each) => sum + each.proxies.length, 0);
  const [first, second] = pool.backends;
  if (first === undefined || second === undefined) throw new Error("the pool is too small");
  const sent = load.sent();
  const goneAt = Date.now();
  for (const each of cluster.controlPlanes) await each.kill();
  const last = (from: number, withinMs: number, isWanted: (event: ProxyEvent) => boolean) =>
    lastOfAll(events, { from, withinMs, proxies }, isWanted);

  const heldKilledAt = await kill(first);
  const heldEjectedAt = await last(heldKilledAt, soonMs, is("ejected", first));
  const heldStartedAt = await restart(first);
  const heldBackAt = await last(heldStartedAt, soonMs, is("returned", first));

  const aloneAt = await last(goneAt, aloneWithinMs, (event) => event.kind === "alone");
  const killedAt = await kill(second);
  const isUnhealthy = (event: ProxyEvent) =>
    isVerdictOn(event, second) && event.verdict === "unhealthy";
  const keptOutAt = await last(killedAt, soonMs, (event) => {
    return is("ejected", second)(event) || isUnhealthy(event);
  });
  const unhealthyAt = await last(killedAt, soonMs, isUnhealthy);
  const startedAt = await restart(second);
  const backAt = await last(startedAt, backWithinMs, (event) => {
    return isVerdictOn(event, second) && event.before === "unhealthy";
  });
  return {
    heldEjectedMs: heldEjectedAt - heldKilledAt,
    heldBackMs: heldBackAt - heldStartedAt,
    aloneMs: aloneAt - goneAt,
    keptOutMs: keptOutAt - killedAt,
    unhealthyMs: unhealthyAt - killedAt,
    backMs: backAt - startedAt,
    requests: load.sent() - sent,
    errors: load.errors(goneAt, Date.now()),
  };
}

/** When the last of the proxies told it; NaN: not all did. */
async function lastOfAll(
  events: ProxyEvents,
  options: { readonly from: number; readonly withinMs: number; readonly proxies: number },
  isWanted: (event: ProxyEvent) => boolean,
): Promise<number> {
  const { from, withinMs, proxies } = options;
  const first = await events.firstOfEach({ from, withinMs, proxies }, isWanted);
  return first.length < proxies ? Number.NaN : Math.max(...first.map((each) => each.at));
}

async function kill({ simulator }: SceneBackend): Promise<number> {
  const at = Date.now();
  await simulator.program.kill();
  return at;
}

async function restart({ simulator }: SceneBackend): Promise<number> {
  await simulator.program.start();
  return Date.now();
}

function is(kind: "ejected" | "returned", { name }: SceneBackend) {
  return (event: ProxyEvent): boolean => event.kind === kind && event.backend === name;
}

function isVerdictOn(
  event: ProxyEvent,
  { name }: SceneBackend,
): event is Extract<ProxyEvent, { readonly kind: "own-verdict" }> {
  return event.kind === "own-verdict" && event.backend === name;
}
