// A region's control plane: the real cores, wired as control-plane/server wires them, on a simulated node.

import { create } from "@bufbuild/protobuf";
import {
  createProxies,
  makeStateFrame,
  type Proxies,
  RegionLoads,
} from "@meridian/control-core/fleet";
import {
  RegionHealth,
  regionHealthLimits,
  type VerdictChange,
} from "@meridian/control-core/health";
import type { OutflowShare } from "@meridian/control-core/locality";
import { debounceDueAt, noteChange, quiet } from "@meridian/control-core/subscription";
import { fullJitterMs, type Random } from "@meridian/proto/base";
import { type ReportFrame, type StateFrame, StateFrameSchema } from "@meridian/proto/gen/sync_pb";
import { compareVersions } from "@meridian/proto/snapshot";
import type { Timer } from "../kernel/timeline.ts";
import type { Connection } from "../net/connection.ts";
import type { SimNode } from "../net/node.ts";
import { decodeJson, encodeJson, type SimMirror, StoreClient } from "../store/store-client.ts";
import type { StoreCluster } from "../store/store-cluster.ts";
import { type Published, policyKey, publish } from "./policies.ts";
import { PolicyLane, type PolicyStream } from "./policy-lane.ts";
import { RegionView } from "./region-view.ts";
import { RegionWriter } from "./region-writer.ts";
import { TableKeeper } from "./table-keeper.ts";

/** What a proxy hears on its session; the proxy's side of the wire. */
export type SessionListener = {
  readonly push: (push: Parameters<Parameters<PolicyLane["open"]>[1]["push"]>[0]) => void;
  readonly frame: (frame: StateFrame) => void;
  readonly acknowledged: (sequence: bigint) => void;
};

/** The control plane's side of one proxy's streams. */
export type ControlSession = PolicyStream & {
  readonly report: (frame: ReportFrame) => void;
};

/** What the world wants to know of a control plane. */
export type ControlNotes = {
  readonly verdict: (control: ControlPlane, change: VerdictChange) => void;
  readonly published: (control: ControlPlane, published: Published) => void;
};

type OpenState = {
  readonly region: string;
  readonly connection: Connection;
  readonly listener: SessionListener;
};

const everyMs = 1_000;
const gapMs = 50;
const leaseMs = 15_000;

/** One life's worth of memory: lost with the process. */
type Memory = {
  readonly proxies: Proxies;
  readonly health: RegionHealth;
  readonly loads: RegionLoads;
  readonly table: TableKeeper;
  readonly view: RegionView;
  readonly policyLane: PolicyLane;
  readonly writer: RegionWriter;
  readonly mirrors: SimMirror[];
  readonly states: Set<OpenState>;
  published: Published | undefined;
  missing: number;
  sequence: bigint;
  flushedAt: number;
  soon: Timer | undefined;
};

export class ControlPlane {
  readonly node: SimNode;
  readonly store: StoreClient;
  readonly #random: Random;
  readonly #notes: ControlNotes;
  #memory: Memory | undefined;
  /** Rows that go out instead of the table's; for tests of the checkers. */
  outflows: ((home: string) => readonly OutflowShare[]) | undefined;
  /** Events that the judge is told of beside the real ones; for tests of the checkers. */
  spoilEvidence: ((frame: ReportFrame) => ReportFrame) | undefined;

  constructor(node: SimNode, cluster: StoreCluster, random: Random, notes: ControlNotes) {
    this.node = node;
    this.#random = random.fork(node.name);
    this.#notes = notes;
    this.store = new StoreClient(cluster, node, this.#random);
  }

  /** At the start of each life. */
  start(): void {
    const { node, store } = this;
    const proxies = createProxies();
    const loads = new RegionLoads();
    const view = new RegionView(node);
    const health = new RegionHealth((region) => view.signs.digest(region)?.verdicts);
    const published = (): Published | undefined => memory.published;
    const writer = new RegionWriter({ node, store, proxies, loads, view, health, published });
    const memory: Memory = {
      proxies,
      health,
      loads,
      view,
      policyLane: new PolicyLane(node, proxies),
      writer,
      table: new TableKeeper({
        node,
        policy: () => memory.published?.policy,
        signs: view.signs,
        drains: () => view.drains(),
        ownDigest: (region) => (region === node.region ? writer.newest : undefined),
        storeReachable: () => this.#isReachable(memory),
      }),
      mirrors: [],
      states: new Set(),
      published: undefined,
      missing: 3,
      sequence: 0n,
      flushedAt: Number.NEGATIVE_INFINITY,
      soon: undefined,
    };
    this.#memory = memory;
    this.#openMirrors(memory);
    node.every(regionHealthLimits.tickMs, () => this.#judge(memory));
    node.every(everyMs, () => this.#flush(memory));
    this.#register(0);
  }

  get published(): Published | undefined {
    return this.#memory?.published;
  }

  get mirrors(): readonly SimMirror[] {
    return this.#memory?.mirrors ?? [];
  }

  get writes(): number {
    return this.#memory?.writer.writes ?? 0;
  }

  get health(): RegionHealth | undefined {
    return this.#memory?.health;
  }

  /** How long the region that was silent longest has been so; 0 before there is a policy. */
  oldestSignMs(): number {
    const memory = this.#memory;
    const names = memory?.published?.policy.regions.map((each) => each.name) ?? [];
    const now = this.node.now();
    return Math.max(0, ...names.map((each) => memory?.view.signs.ageMs(each, now) ?? 0));
  }

  /** Takes over the far end of a proxy's connection. */
  serve(
    proxy: { readonly id: string; readonly region: string },
    connection: Connection,
    listener: SessionListener,
  ): ControlSession {
    const memory = this.#memory;
    const node = { ...proxy, build: "sim" };
    if (memory === undefined) throw new Error("a control plane serves only while it lives");
    const state: OpenState = { region: proxy.region, connection, listener };
    memory.states.add(state);
    const lane = memory.policyLane.open(node, {
      push: (push) => connection.send("far", () => listener.push(push)),
      close: (reason) => {
        memory.states.delete(state);
        connection.close("far", reason);
      },
    });
    this.#sendFrame(memory, state, this.#frame(memory, proxy.region));
    return {
      ...lane,
      report: (given) => {
        const frame = this.spoilEvidence?.(given) ?? given;
        const now = this.node.now();
        memory.proxies.report(node, frame, now);
        memory.health.take(node, frame.backends, now);
        memory.loads.take(proxy.region, frame, now);
        connection.send("far", () => listener.acknowledged(frame.sequence));
      },
      gone: () => {
        memory.states.delete(state);
        lane.gone();
      },
    };
  }

  /** What a probe is answered with. */
  frameFor(region: string): StateFrame | undefined {
    return this.#memory === undefined ? undefined : this.#frame(this.#memory, region);
  }

  #openMirrors(memory: Memory): void {
    const { store } = this;
    const onState = (): void => this.#kick(memory);
    const onReady = (): void => {
      memory.missing -= 1;
      if (memory.missing === 0) this.#readPolicy(memory);
    };
    let burst = quiet;
    let timer: Timer | undefined;
    const policies = store.mirror("/pol/", {
      onState,
      onReady,
      onChange: () => {
        if (memory.missing > 0) return;
        burst = noteChange(burst, this.node.now());
        this.node.cancel(timer);
        timer = this.node.at(debounceDueAt(burst) ?? this.node.now(), () => {
          burst = quiet;
          this.#readPolicy(memory);
        });
      },
    });
    const runtime = store.mirror("/rt/", {
      onState,
      onReady,
      onChange: (changes) => {
        if (memory.view.takeRuntime(changes, memory.missing > 0)) this.#kick(memory);
      },
    });
    const control = store.mirror("/ctl/", {
      onState,
      onReady,
      onChange: (changes) => {
        if (memory.view.takeControl(changes)) this.#kick(memory);
      },
    });
    memory.mirrors.push(policies, runtime, control);
  }

  /** What can't be read is left alone: what was last good serves on. */
  #readPolicy(memory: Memory): void {
    const entry = memory.mirrors[0]?.entries.get(policyKey);
    if (entry === undefined) return;
    const published = publish(decodeJson(entry.value));
    if (published.kind === "err") return;
    const former = memory.published?.version;
    const next = published.value;
    if (former !== undefined && compareVersions(next.version, former) <= 0) return;
    memory.published = next;
    memory.view.signs.keep(new Set(next.policy.regions.map((each) => each.name)));
    memory.health.arrange(next.policy);
    memory.loads.arrange(next.policy);
    memory.policyLane.publish(next);
    this.#notes.published(this, next);
    this.#kick(memory);
  }

  #judge(memory: Memory): void {
    const changes = memory.health.tick(this.node.now());
    for (const change of changes) this.#notes.verdict(this, change);
    if (changes.length > 0) this.#kick(memory);
  }

  #isReachable(memory: Memory): boolean {
    return memory.mirrors.length > 0 && memory.mirrors.every((each) => each.state() === "fresh");
  }

  #kick(memory: Memory): void {
    if (memory.soon !== undefined || this.#memory !== memory) return;
    const at = Math.max(this.node.now(), memory.flushedAt + gapMs);
    memory.soon = this.node.at(at, () => this.#flush(memory));
  }

  #flush(memory: Memory): void {
    this.node.cancel(memory.soon);
    memory.soon = undefined;
    memory.flushedAt = this.node.now();
    const frames = new Map<string, StateFrame>();
    for (const state of memory.states) {
      const frame = frames.get(state.region) ?? this.#frame(memory, state.region);
      frames.set(state.region, frame);
      this.#sendFrame(memory, state, frame);
    }
  }

  #sendFrame(memory: Memory, state: OpenState, frame: StateFrame): void {
    if (!state.connection.isOpen) memory.states.delete(state);
    else state.connection.send("far", () => state.listener.frame(frame));
  }

  #frame(memory: Memory, region: string): StateFrame {
    memory.sequence += 1n;
    const { published, sequence, view, health } = memory;
    const storeReachable = this.#isReachable(memory);
    if (published === undefined) return create(StateFrameSchema, { sequence, storeReachable });
    const now = this.node.now();
    return makeStateFrame(
      {
        policy: published.policy,
        version: published.version,
        signs: view.signs,
        drains: view.drains(),
        judged: (name) => health.backend(name, now),
        outflows: (home) => this.outflows?.(home) ?? memory.table.outflows(home),
        storeReachable,
      },
      { region, sequence, now, wall: this.node.wall() },
    );
  }

  /** Its row lives by a lease, kept by the real lease engine. */
  #register(attempt: number): void {
    const again = (): void => {
      const waitMs = fullJitterMs(attempt, { baseMs: 500, capMs: 10_000 }, this.#random);
      this.node.after(waitMs, () => this.#register(attempt + 1));
    };
    this.store.lease(leaseMs, {
      granted: (lease) => {
        const puts = [{ key: `/cp/${this.node.name}`, value: encodeJson({}), lease }];
        this.store.commit({ kind: "txn", compare: [], puts, deletes: [] }, () => undefined);
      },
      lost: again,
    });
  }
}
