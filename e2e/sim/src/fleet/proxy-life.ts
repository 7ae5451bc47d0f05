// What a simulated proxy has in memory during one life of its process: the engine, and the parts of its shell around it.

import { create } from "@bufbuild/protobuf";
import type { Attempts } from "@meridian/data-core/attempt";
import {
  type CallKnowledge,
  createCallBuffers,
  createEngine,
  type Engine,
  openCallBuffers,
} from "@meridian/data-core/engine";
import { ownLoad } from "@meridian/data-core/load";
import type { Problem, Random } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { NodeSchema, type StateFrame } from "@meridian/proto/gen/sync_pb";
import type { RegionView } from "@meridian/proto/snapshot";
import { ControlLink } from "./control-link.ts";
import type { Exchange } from "./exchange.ts";
import { MetricsReader } from "./metrics-reader.ts";
import { OwnHealth } from "./own-health.ts";
import { PathProber } from "./path-prober.ts";
import { WarmPeers } from "./peer-call.ts";
import type { ProxyPorts } from "./proxy.ts";
import { RegionReadiness } from "./region-readiness.ts";
import { ReportMaker } from "./report-maker.ts";

export type LifeHooks = {
  readonly activate: (
    snapshot: Snapshot,
    source: "control" | "disk" | "sibling",
  ) => readonly Problem[];
  readonly observe: (frame: StateFrame) => void;
};

/** To warm up what a snapshot names before it is in force. */
const warmUpMs = 50;
/** How old the numbers are by which the metrics' reader tells busy servers. */
const inFlightMs = 500;

export class ProxyLife {
  readonly engine: Engine;
  readonly calls: CallKnowledge;
  readonly link: ControlLink;
  readonly warm = new WarmPeers();
  readonly readiness = new RegionReadiness();
  readonly exchanges = new Set<Exchange>();
  /** To find who is held. */
  readonly byAttempts = new Map<Attempts, Exchange>();
  readonly #health: OwnHealth;
  readonly #reader: MetricsReader;
  readonly #paths: PathProber;
  #inFlight: ReadonlyMap<string, number> = new Map();

  constructor(ports: ProxyPorts, random: Random, hooks: LifeHooks) {
    const { node, backend } = ports;
    const load = ownLoad();
    this.calls = openCallBuffers(createCallBuffers(load.table.slots));
    this.engine = createEngine({ region: node.region, random, load, calls: this.calls });
    this.#health = new OwnHealth({ id: node.name, node, random, engine: this.engine, backend });
    this.link = this.#makeLink(ports, random, hooks);
    this.#reader = new MetricsReader({
      node,
      random: random.fork("metrics"),
      engines: this.calls.engines,
      backend,
      slot: (name) => this.slotOf(name),
      inFlight: (name) => this.#inFlight.get(name) ?? 0,
    });
    this.#paths = new PathProber({
      net: ports.net,
      node,
      random: random.fork("paths"),
      paths: this.calls.paths,
      proxiesOf: ports.proxiesOf,
      siblings: () => ports.proxiesOf(node.region).map((each) => each.node.name),
    });
    node.every(inFlightMs, () => {
      const { backends } = this.engine.report(node.now());
      this.#inFlight = new Map(backends.map((each) => [each.name, each.inFlight]));
    });
  }

  /** Place of a target's numbers; undefined: the engine does not know it. */
  slotOf(name: string): number | undefined {
    return this.engine.serving()?.upstreams.find((each) => each.name === name)?.slot;
  }

  /** A policy came into force. */
  arrange(view: RegionView): void {
    this.#health.arrange(view);
    this.#reader.arrange(view.backends.map((each) => each.name));
    const others = view.regions.filter((each) => each.name !== view.region);
    this.#paths.arrange(others.map((each) => each.name));
  }

  #makeLink({ net, node, controls }: ProxyPorts, random: Random, hooks: LifeHooks): ControlLink {
    const identity = create(NodeSchema, { id: node.name, region: node.region, build: "sim" });
    const maker = new ReportMaker(identity, (name) => this.#health.probed(name));
    return new ControlLink({
      net,
      node,
      random,
      controls,
      activate: (snapshot, source, answer) => {
        const activate = (): void => answer(hooks.activate(snapshot, source));
        if (source === "disk") activate();
        else node.after(warmUpMs, activate);
      },
      observe: hooks.observe,
      report: (sequence) => maker.make(sequence, this.engine.report(node.now())),
    });
  }
}
