// Everything of one run, put together: regions with proxies, model servers and control planes, the store, GeoDNS and
// clients, and what a scenario may do to them.

import type { CheckerMaker } from "../check/checker.ts";
import { Checks } from "../check/checks.ts";
import { ControlPlane } from "../control/control-plane.ts";
import { policyKey } from "../control/policies.ts";
import { Backend } from "../fleet/backend.ts";
import { SimProxy } from "../fleet/proxy.ts";
import type { ProxySabotage } from "../fleet/proxy-notes.ts";
import { referenceRtts, World } from "../kernel/world.ts";
import { Net } from "../net/net.ts";
import type { ClockSkew } from "../net/node.ts";
import { StoreClient } from "../store/store-client.ts";
import { StoreCluster } from "../store/store-cluster.ts";
import { Clients, type TenantShare } from "../users/clients.ts";
import type { DemandShape, SessionShape } from "../users/demand.ts";
import { GeoDns, resolversAt } from "../users/dns.ts";
import { type FleetPlan, peerAddress, policyDocument, proxyNames, serverNames } from "./policy.ts";

export type SceneOptions = {
  readonly seed: string;
  readonly plan: FleetPlan;
  /** Demand of each region's clients. */
  readonly demand: { readonly [region: string]: DemandShape };
  readonly session: SessionShape;
  readonly tenants: readonly TenantShare[];
  /** Clients begin no session after it. */
  readonly demandUntilMs: number;
  /** Of clients; an SDK's two by default. */
  readonly clientRetries: number;
  readonly storeRegions: readonly string[];
  readonly skew?: (node: string) => Partial<ClockSkew>;
};

/** Ways to make a run break its promises; for tests of the checkers alone. */
export type Sabotage = {
  readonly proxy?: ProxySabotage;
  readonly scene?: (scene: Scene) => void;
};

/** Control planes find a leader, a policy and each other before anybody asks. */
export const warmUpMs = 12_000;
/** After a trouble a server is out for a time, then proves itself by 34 good answers and more (docs/health.md). */
const provingMs = 90_000;
const policyAtMs = 5_000;
const userRttMs = 20;
const dnsTtlMs = 30_000;

export class Scene {
  readonly options: SceneOptions;
  readonly world: World;
  readonly net: Net;
  readonly store: StoreCluster;
  readonly controls = new Map<string, ControlPlane>();
  readonly proxies = new Map<string, SimProxy>();
  readonly backends = new Map<string, Backend>();
  readonly dns: GeoDns;
  readonly checks: Checks;
  /** An operator's client of the store. */
  readonly operator: StoreClient;
  /** By server: since when something is or was wrong with it, and until when. */
  readonly troubles = new Map<string, { from: number; to: number }>();
  /** Until when each region's drain was ordered. */
  readonly drains = new Map<string, number>();
  /** What the newest policy says of weights. */
  weights: { readonly [server: string]: number } = {};
  /** Requests that may wait at each of a region's servers. */
  readonly queueMax: { [region: string]: number } = {};
  #sequence = 0;
  #ids = 0;

  constructor(
    options: SceneOptions,
    makers: { readonly [name: string]: CheckerMaker },
    sabotage: Sabotage = {},
  ) {
    this.options = options;
    this.world = new World(options.seed);
    const { network, random, timeline } = this.world;
    this.net = new Net(timeline, network, random);
    this.#connectRegions();
    this.store = new StoreCluster(this.net, options.storeRegions, random);
    this.checks = new Checks(this, makers);
    this.operator = new StoreClient(this.store, this.net.addNode("operator", this.home), random);
    for (const { name } of options.plan.regions) this.#addControl(name);
    for (const region of options.plan.regions) {
      this.queueMax[region.name] = region.size.queueMax;
      this.#addRegion(region, sabotage);
    }
    this.dns = this.#addDns();
    this.#addClients();
    timeline.at(policyAtMs, () => this.applyPolicy(this.weights));
    timeline.every(1_000, () => this.checks.eachSecond(), warmUpMs);
    sabotage.scene?.(this);
  }

  /** The first region of the plan. */
  get home(): string {
    return this.options.plan.regions[0]?.name ?? "";
  }

  get now(): number {
    return this.world.timeline.now;
  }

  /** Seconds from the end of the warm-up. */
  at(seconds: number, run: () => void): void {
    this.world.timeline.at(warmUpMs + seconds * 1_000, run);
  }

  serversOf(region: string): readonly Backend[] {
    return [...this.backends.values()].filter((each) => each.server.region === region);
  }

  proxiesOf(region: string): readonly SimProxy[] {
    return [...this.proxies.values()].filter((each) => each.node.region === region);
  }

  /** Every server there has or had something wrong, and may not have proved itself since; or the region is drained. */
  isHomeDown(region: string): boolean {
    const servers = this.serversOf(region);
    const down = servers.filter((each) => {
      const trouble = this.troubles.get(each.server.name);
      return trouble !== undefined && this.now - trouble.to < provingMs;
    });
    return down.length === servers.length || (this.drains.get(region) ?? 0) > this.now - 10_000;
  }

  /** Writes the policy anew, until the store has taken it. */
  applyPolicy(weights: { readonly [server: string]: number }): void {
    this.weights = weights;
    this.#sequence += 1;
    const document = policyDocument(this.options.plan, weights);
    const row = { epoch: 1, sequence: this.#sequence, document };
    const write = (): void =>
      this.operator.put(policyKey, row, (applied) => {
        if (applied === undefined) write();
      });
    write();
  }

  drainRegion(region: string, seconds: number): void {
    const untilMs = this.operator.node.wall() + seconds * 1_000;
    this.drains.set(region, this.now + seconds * 1_000);
    const order = { untilMs, reason: "drill", author: "operator" };
    this.operator.put(`/ctl/drain/region/${region}`, order, () => undefined);
  }

  /** Something is wrong with a server from now on, until `heal`. */
  trouble(backend: Backend): void {
    this.troubles.set(backend.server.name, { from: this.now, to: Number.POSITIVE_INFINITY });
  }

  heal(backend: Backend): void {
    const trouble = this.troubles.get(backend.server.name);
    if (trouble !== undefined) trouble.to = this.now;
    backend.recover();
    backend.server.slowness = 1;
    Object.assign(backend.faults, {
      errorShare: 0,
      truncateShare: 0,
      emptyShare: 0,
      stallShare: 0,
      wrongShare: 0,
      liesToProbes: false,
      hidesQueue: false,
    });
  }

  /** Power is gone in a whole region. */
  loseRegion(region: string): void {
    for (const backend of this.serversOf(region)) {
      this.trouble(backend);
      backend.vanish();
    }
    for (const each of this.proxiesOf(region)) each.node.crash(true);
    this.controls.get(region)?.node.crash(true);
    for (const member of this.store.members) {
      if (member.node.region === region) member.node.crash(true);
    }
  }

  restoreRegion(region: string): void {
    for (const backend of this.serversOf(region)) this.heal(backend);
    for (const member of this.store.members) {
      if (member.node.region !== region || member.node.isUp) continue;
      member.node.revive();
      member.start();
    }
    const control = this.controls.get(region);
    if (control !== undefined) this.reviveControl(control);
    for (const each of this.proxiesOf(region)) this.reviveProxy(each);
  }

  reviveControl(control: ControlPlane): void {
    if (control.node.isUp) return;
    control.node.revive();
    control.start();
  }

  reviveProxy(proxy: SimProxy): void {
    if (proxy.node.isUp) return;
    proxy.node.revive();
    proxy.start();
  }

  #connectRegions(): void {
    const { network } = this.world;
    for (const [a, b, rttMs] of referenceRtts) {
      network.connect(a, b, rttMs);
      network.connect(`users of ${a}`, b, rttMs + userRttMs, 0.1);
      network.connect(`users of ${b}`, a, rttMs + userRttMs, 0.1);
    }
    for (const { name } of this.options.plan.regions) {
      network.connect(`users of ${name}`, name, userRttMs, 0.1);
      network.connect("monitor", name, 60);
    }
  }

  #addControl(region: string): void {
    const name = `control-${region}`;
    const node = this.net.addNode(name, region, this.options.skew?.(name));
    const control = new ControlPlane(node, this.store, this.world.random, {
      verdict: (at, change) => this.checks.verdict(at, change),
      published: () => undefined,
    });
    this.controls.set(region, control);
    control.start();
  }

  #addRegion(region: FleetPlan["regions"][number], sabotage: Sabotage): void {
    const { random } = this.world;
    for (const name of serverNames(region)) {
      const server = this.world.addServer(name, region.name, region.size);
      this.backends.set(name, new Backend(server, random));
    }
    for (const name of proxyNames(region)) {
      const proxy = new SimProxy({
        net: this.net,
        node: this.net.addNode(name, region.name, this.options.skew?.(name)),
        random: random.fork(name),
        controls: this.#controlsFrom(region.name),
        backend: (server) => this.backends.get(server),
        peer: (origin) => this.#proxyAt(origin),
        proxiesOf: (name) => this.proxiesOf(name),
        notes: this.checks,
        sabotage: sabotage.proxy ?? {},
      });
      this.proxies.set(name, proxy);
      proxy.start();
    }
  }

  #proxyAt(origin: string): SimProxy | undefined {
    const address = origin.replace("https://", "");
    return [...this.proxies.values()].find((each) => peerAddress(each.node.name) === address);
  }

  /** The own region's first, then by distance. */
  #controlsFrom(region: string): readonly ControlPlane[] {
    const { network } = this.world;
    const distance = (control: ControlPlane): number =>
      control.node.region === region ? 0 : network.link(region, control.node.region).delay.medianMs;
    return [...this.controls.values()].sort((a, b) => distance(a) - distance(b));
  }

  #addDns(): GeoDns {
    const monitor = this.net.addNode("monitor", "monitor");
    const regions = this.options.plan.regions.map(({ name }) => ({
      region: name,
      proxies: this.proxiesOf(name).map((each) => ({
        node: each.node,
        isReady: () => each.isReady(),
      })),
    }));
    return new GeoDns(this.net, monitor, regions);
  }

  #addClients(): void {
    const { options, net, world } = this;
    const { random, records, timeline } = world;
    for (const { name } of options.plan.regions) {
      const place = `users of ${name}`;
      const at = { place, ttlMs: dnsTtlMs, count: 8 };
      const demand = options.demand[name];
      if (demand === undefined) continue;
      new Clients(
        {
          net,
          node: net.addNode(place, place),
          random: random.fork(place),
          records,
          resolvers: resolversAt(timeline, this.dns, at, random.fork(`resolvers ${name}`)),
          proxiesOf: (region) => this.proxiesOf(region).filter((each) => each.isListed),
          demand,
          session: options.session,
          tenants: options.tenants,
          notes: this.checks,
          nextId: () => {
            this.#ids += 1;
            return this.#ids;
          },
          untilMs: options.demandUntilMs,
          retries: options.clientRetries,
        },
        warmUpMs,
      );
    }
  }
}
