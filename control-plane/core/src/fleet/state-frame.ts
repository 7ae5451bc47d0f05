// A state frame: the whole of what a proxy of one region is told each second. The same frame goes to all of them, so it
// is encoded once.

import { create } from "@bufbuild/protobuf";
import type { Instant, WallTime } from "@meridian/proto/base";
import type { Policy } from "@meridian/proto/gen/policy_pb";
import type { Version } from "@meridian/proto/gen/snapshot_pb";
import {
  type BackendState,
  BackendStateSchema,
  type Outflow,
  OutflowSchema,
  type PoolState,
  PoolStateSchema,
  type RegionState,
  RegionStateSchema,
  type StateFrame,
  StateFrameSchema,
  Verdict,
} from "@meridian/proto/gen/sync_pb";
import { type Drains, drainLeftMs } from "../drain/index.ts";
import type { JudgedBackend } from "../health/index.ts";
import type { OutflowShare } from "../locality/index.ts";
import type { PoolCounts } from "./pool-counts.ts";
import type { RegionSigns } from "./region-signs.ts";

/** What frames are made from. */
export type StateSource = {
  readonly policy: Policy;
  readonly version: Version;
  readonly signs: RegionSigns;
  readonly drains: Drains;
  /** The verdict on a backend; undefined: there is none. */
  readonly judged: (backend: string) => JudgedBackend | undefined;
  /** A region's row of the region table. */
  readonly outflows: (home: string) => readonly OutflowShare[];
  readonly storeReachable: boolean;
};

/** One frame: for which region, the how manyth, and when. The sequence must grow; all streams may share it. */
export type FrameView = {
  readonly region: string;
  readonly sequence: bigint;
  readonly now: Instant;
  readonly wall: WallTime;
};

/** The frame for the proxies of one region. */
export function makeStateFrame(source: StateSource, view: FrameView): StateFrame {
  const pools = poolsOfPolicy(source.policy);
  return create(StateFrameSchema, {
    sequence: view.sequence,
    policy: source.version,
    regions: source.policy.regions.map(({ name }) =>
      regionState(name, pools.get(name) ?? [], source, view),
    ),
    backends: source.policy.backends
      .filter((each) => each.region === view.region)
      .flatMap(({ name }) => backendState(name, source, view.wall)),
    storeReachable: source.storeReachable,
    outflows: source.outflows(view.region).map(outflow),
  });
}

function regionState(
  name: string,
  declared: readonly PoolCounts[],
  { signs, drains }: StateSource,
  view: FrameView,
): RegionState {
  const drain = drains.regions.get(name);
  // The policy says which pools there are; the digest, which may be older than the policy, how they are.
  const digest = signs.digest(name);
  const known = new Map(digest?.pools.map((each) => [each.model, each]));
  return create(RegionStateSchema, {
    name,
    draining: drain !== undefined,
    drainLeftMs: drain === undefined ? 0 : drainLeftMs(drain, view.wall),
    ageMs: signs.ageMs(name, view.now),
    pools: declared.map((each) => poolState(known.get(each.model) ?? each)),
    proxies: digest?.proxies ?? 0,
  });
}

function poolState({ model, backends, available, ...load }: PoolCounts): PoolState {
  return create(PoolStateSchema, {
    model,
    backends,
    available,
    capacityTokens: load.capacity ?? 0,
    demandTokens: load.demand,
    pendingTokens: load.pending,
  });
}

/** Up, as a share that is rounded down to nothing would forbid what the table allows. */
function outflow({ model, region, share }: OutflowShare): Outflow {
  return create(OutflowSchema, { model, region, share: Math.ceil(share * 1_000 - 1e-6) });
}

/** Only what there is something to say about: a verdict, or an operator's drain. */
function backendState(
  name: string,
  { drains, judged }: StateSource,
  wall: WallTime,
): readonly BackendState[] {
  const drain = drains.backends.get(name);
  const verdict = judged(name);
  if (drain === undefined && verdict === undefined) return [];
  return [
    create(BackendStateSchema, {
      name,
      draining: drain !== undefined,
      drainLeftMs: drain === undefined ? 0 : drainLeftMs(drain, wall),
      ...(verdict === undefined ? {} : verdictFields(verdict)),
    }),
  ];
}

function verdictFields(judged: JudgedBackend) {
  return {
    verdict: Verdict[judged.verdict],
    share: Math.round(judged.share * 1_000),
    proving: judged.isProving,
    freezeBaseline: judged.freezesBaseline,
    probers: [...judged.probers],
    canaryVector: [...judged.canaryVector],
  };
}

/** Every pool with all its backends available: what holds of a region that has said nothing yet. */
function poolsOfPolicy(policy: Policy): ReadonlyMap<string, readonly PoolCounts[]> {
  const regions = new Map<string, Map<string, number>>();
  for (const { region, serves, weight } of policy.backends) {
    if (weight === 0) continue;
    const models = regions.get(region) ?? new Map<string, number>();
    regions.set(region, models);
    for (const { model } of serves) models.set(model, (models.get(model) ?? 0) + 1);
  }
  return new Map(
    [...regions].map(([region, models]) => [
      region,
      [...models].map(([model, backends]) => ({
        model,
        backends,
        available: backends,
        capacity: undefined,
        demand: 0,
        pending: 0,
      })),
    ]),
  );
}
