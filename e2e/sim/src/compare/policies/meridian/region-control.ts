// The control planes of a compared fleet: reports go up each second, digests go from region to region as the store takes
// them, the real region table is made from them, and frames go down. All by the real cores; nothing of it fails here.

import { create } from "@bufbuild/protobuf";
import { drainsAt } from "@meridian/control-core/drain";
import {
  createProxies,
  createRegionSigns,
  type DigestWritten,
  digestDueAt,
  digestRegion,
  makeStateFrame,
  RegionLoads,
} from "@meridian/control-core/fleet";
import { RegionTable } from "@meridian/control-core/locality";
import type { Place } from "@meridian/proto/base";
import type { Location } from "@meridian/proto/gen/policy_pb";
import { NodeSchema } from "@meridian/proto/gen/sync_pb";
import type { Published } from "../../../control/policies.ts";
import { ReportMaker } from "../../../fleet/report-maker.ts";
import type { Arena } from "../../arena/arena.ts";
import type { RegionProxy } from "./region-proxy.ts";

const everyMs = 1_000;
/** From a write to everybody's watch, about (reference 2.1: 84 to 296 ms between the regions that are compared). */
const storeMs = 250;
const noDrains = drainsAt([], 0);
const unjudged = (): undefined => undefined;

export class RegionControl {
  readonly #arena: Arena;
  readonly #proxy: RegionProxy;
  readonly #published: Published;
  readonly #proxies = createProxies();
  readonly #loads = new RegionLoads();
  readonly #signs = createRegionSigns();
  readonly #table = new RegionTable();
  readonly #reports: ReportMaker;
  #written: DigestWritten | undefined;
  #sequence = 0n;
  #all: readonly RegionControl[] = [];

  constructor(arena: Arena, proxy: RegionProxy, published: Published) {
    this.#arena = arena;
    this.#proxy = proxy;
    this.#published = published;
    this.#loads.arrange(published.policy);
    this.#signs.keep(new Set(published.policy.regions.map((each) => each.name)));
    const { name: region } = proxy;
    const identity = create(NodeSchema, { id: `${region}-proxy`, region, build: "sim" });
    this.#reports = new ReportMaker(identity, unjudged);
  }

  begin(all: readonly RegionControl[]): void {
    this.#all = all;
    const offset = (this.#proxy.region * everyMs) / all.length;
    this.#arena.timeline.every(everyMs, () => this.#turn(), offset);
  }

  #turn(): void {
    this.#report();
    this.#write();
    this.#send();
  }

  #report(): void {
    const { engine, name: region, now } = this.#proxy;
    this.#sequence += 1n;
    const frame = this.#reports.make(this.#sequence, engine.report(now));
    const node = { id: `${region}-proxy`, region, build: "sim" };
    this.#proxies.report(node, frame, now);
    this.#loads.take(region, frame, now);
  }

  /** A digest where there is news, and a sign of life. */
  #write(): void {
    const { name: region, now } = this.#proxy;
    const digest = digestRegion(
      region,
      {
        policy: this.#published.policy,
        proxies: this.#proxies,
        loads: this.#loads,
        drains: noDrains,
        judged: unjudged,
        former: this.#written?.digest,
        wall: now,
      },
      now,
    );
    const isDue = digestDueAt(this.#written, digest) <= now;
    if (isDue) this.#written = { digest, at: now };
    this.#arena.timeline.after(storeMs, () => {
      for (const each of this.#all) {
        each.#signs.see(region, each.#proxy.now, 0);
        if (isDue) each.#signs.setDigest(digest);
      }
    });
  }

  #send(): void {
    const { engine, name: region, now } = this.#proxy;
    const { policy, version } = this.#published;
    const regions = policy.regions.map(({ name, location }) => ({
      name,
      place: placeOf(location),
      isDraining: false,
      ageMs: this.#signs.ageMs(name, now),
      digest: this.#signs.digest(name),
    }));
    this.#table.tick(regions, true, now);
    const frame = makeStateFrame(
      {
        policy,
        version,
        signs: this.#signs,
        drains: noDrains,
        judged: unjudged,
        outflows: (home) => this.#table.outflows(home),
        storeReachable: true,
      },
      { region, sequence: this.#sequence, now, wall: now },
    );
    engine.apply({ kind: "state", frame }, now);
    this.#proxy.giveRoom();
  }
}

/** The policy that is checked gives both or none. */
function placeOf(location: Location | undefined): Place | undefined {
  const { lat, lon } = location ?? {};
  return lat === undefined || lon === undefined ? undefined : { lat, lon };
}
