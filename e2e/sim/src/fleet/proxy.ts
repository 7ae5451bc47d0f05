// A region's proxy: the real engine with its shell's parts around it, on a simulated node with a disk.

import { create } from "@bufbuild/protobuf";
import type { CallRole, Candidate, Ending } from "@meridian/data-core/attempt";
import {
  type CallKnowledge,
  createCallBuffers,
  createEngine,
  type Engine,
  noHeaders,
  openCallBuffers,
  type RequestFacts,
} from "@meridian/data-core/engine";
import { ownLoad } from "@meridian/data-core/load";
import { type Random, refuses } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { NodeSchema, type StateFrame } from "@meridian/proto/gen/sync_pb";
import { readSnapshot } from "@meridian/proto/snapshot";
import type { ControlPlane } from "../control/control-plane.ts";
import type { SimRequest } from "../kernel/request.ts";
import type { Timeline } from "../kernel/timeline.ts";
import type { Net } from "../net/net.ts";
import type { SimNode } from "../net/node.ts";
import type { Asker, AskerEnding, Served } from "./asker.ts";
import { type Backend, BackendCall } from "./backend.ts";
import { ControlLink } from "./control-link.ts";
import { type CallEvents, Exchange, type UpstreamCall } from "./exchange.ts";
import { OwnHealth } from "./own-health.ts";
import { PeerCall, WarmPeers } from "./peer-call.ts";
import { RegionReadiness } from "./region-readiness.ts";
import { ReportMaker } from "./report-maker.ts";

/** What the world's checkers are told of proxies. */
export type ProxyNotes = {
  readonly refused: (exchange: Exchange, code: string) => void;
  readonly called: (exchange: Exchange, call: NotedCall) => void;
  readonly spoke: (exchange: Exchange, spoken: NotedSpeech) => void;
  readonly held: (exchange: Exchange) => void;
  readonly ended: (exchange: Exchange, ending: Ending) => void;
  readonly applied: (proxy: SimProxy, snapshot: Snapshot, source: string) => void;
  readonly observed: (proxy: SimProxy, frame: StateFrame) => void;
};

export type NotedCall = {
  readonly candidate: Candidate;
  readonly role: CallRole;
  readonly attempt: number;
  readonly reason: string;
};

export type NotedSpeech = {
  readonly attempt: number;
  readonly kind: "commit" | "splice";
  readonly role: CallRole;
};

/** Ways in which a test makes a proxy break its promises, so that the checkers have something to find. */
export type ProxySabotage = {
  readonly divert?: (exchange: Exchange, candidate: Candidate) => Candidate;
  readonly distort?: (
    exchange: Exchange,
    ending: AskerEnding | undefined,
  ) => AskerEnding | undefined;
  /** Of facts that the engine is given. */
  readonly alter?: (facts: RequestFacts) => RequestFacts;
};

export type ProxyPorts = {
  readonly net: Net;
  readonly node: SimNode;
  readonly random: Random;
  readonly controls: readonly ControlPlane[];
  readonly backend: (name: string) => Backend | undefined;
  /** Proxies by the address that the policy names. */
  readonly peer: (origin: string) => SimProxy | undefined;
  readonly siblings: () => readonly SimProxy[];
  readonly notes: ProxyNotes;
  readonly sabotage: ProxySabotage;
};

/** To warm up what a snapshot names before it is in force. */
const warmUpMs = 50;
/** How long a control plane may take before siblings are asked. */
const patienceMs = 500;

/** One life's memory. */
type Memory = {
  readonly engine: Engine;
  readonly calls: CallKnowledge;
  readonly health: OwnHealth;
  readonly link: ControlLink;
  readonly warm: WarmPeers;
  readonly readiness: RegionReadiness;
  readonly exchanges: Set<Exchange>;
};

export class SimProxy {
  readonly node: SimNode;
  readonly timeline: Timeline;
  readonly notes: ProxyNotes;
  readonly #ports: ProxyPorts;
  /** Survives crashes. */
  #disk: Snapshot | undefined;
  /** A disk that hangs keeps what it had. */
  isDiskStuck = false;
  #memory: Memory | undefined;
  #lives = 0;

  constructor(ports: ProxyPorts) {
    this.#ports = ports;
    this.node = ports.node;
    this.timeline = ports.net.timeline;
    this.notes = ports.notes;
  }

  /** At the start of each life. */
  start(): void {
    const { node, net, controls, backend } = this.#ports;
    this.#lives += 1;
    const random = this.#ports.random.fork(`life ${this.#lives}`);
    const load = ownLoad();
    const calls = openCallBuffers(createCallBuffers(load.table.slots));
    const engine = createEngine({ region: node.region, random, load, calls });
    const health = new OwnHealth({ id: node.name, node, random, engine, backend });
    const identity = create(NodeSchema, { id: node.name, region: node.region, build: "sim" });
    const maker = new ReportMaker(identity, (name) => health.probed(name));
    const link = new ControlLink({
      net,
      node,
      random,
      controls,
      activate: (snapshot, source, answer) => {
        node.after(warmUpMs, () => answer(this.#activate(snapshot, source)));
      },
      observe: (frame) => {
        engine.apply({ kind: "state", frame }, node.now());
        this.notes.observed(this, frame);
      },
      report: (sequence) => maker.make(sequence, engine.report(node.now())),
    });
    this.#memory = {
      engine,
      calls,
      health,
      link,
      warm: new WarmPeers(),
      readiness: new RegionReadiness(),
      exchanges: new Set(),
    };
    if (this.#disk !== undefined) link.offer(this.#disk, "disk");
    link.start();
    node.after(patienceMs, () => this.#askSiblings());
  }

  get engine(): Engine {
    return this.#alive().engine;
  }

  get held(): Snapshot | undefined {
    return this.#memory?.link.status().held;
  }

  /** What `/gslb/ready` answers. */
  isReady(): boolean {
    const { engine, readiness } = this.#alive();
    const now = this.node.now();
    return readiness.read(engine.report(now), now);
  }

  /** Requests that it has under way. */
  get live(): number {
    return this.#memory?.exchanges.size ?? 0;
  }

  /** A request of a client or of another region's proxy; who gave it starts it. */
  take(
    request: SimRequest,
    origin: { readonly arrivedFrom: string | undefined; readonly isContinuation: boolean },
    asker: Asker,
  ): Exchange {
    const plain = factsOf(request, origin);
    const facts = this.#ports.sabotage.alter?.(plain) ?? plain;
    const exchange = new Exchange(this, request, facts, asker);
    this.#alive().exchanges.add(exchange);
    return exchange;
  }

  open(exchange: Exchange, candidate: Candidate, role: CallRole, events: CallEvents): UpstreamCall {
    const { backend, net, peer } = this.#ports;
    const isContinuation = role === "continuation";
    if (candidate.kind === "backend") {
      const found = backend(candidate.name);
      return found === undefined ? deadCall : this.#callBackend(exchange, found, events);
    }
    const found = peer(candidate.origin);
    if (found === undefined) return deadCall;
    const { warm } = this.#alive();
    return new PeerCall({ net, from: exchange, peer: found, warm, events, isContinuation });
  }

  divert(exchange: Exchange, candidate: Candidate): Candidate {
    return this.#ports.sabotage.divert?.(exchange, candidate) ?? candidate;
  }

  distort(exchange: Exchange, ending: AskerEnding | undefined): AskerEnding | undefined {
    const { distort } = this.#ports.sabotage;
    return distort === undefined ? ending : distort(exchange, ending);
  }

  noteServed(_exchange: Exchange, _served: Served): void {
    // Place for knowledge that first tokens bring.
  }

  left(exchange: Exchange): void {
    this.#memory?.exchanges.delete(exchange);
  }

  #activate(snapshot: Snapshot, source: "control" | "disk" | "sibling") {
    const { engine, health } = this.#alive();
    const applied = engine.apply({ kind: "snapshot", snapshot }, this.node.now());
    const problems = applied.kind === "err" ? applied.error : [];
    if (refuses(problems)) return problems;
    this.notes.applied(this, snapshot, source);
    const view = readSnapshot(snapshot);
    if (view.kind === "ok") health.arrange(view.value);
    if (source !== "disk" && !this.isDiskStuck) this.#disk = snapshot;
    return problems;
  }

  #askSiblings(): void {
    if (this.held !== undefined) return;
    const { net, siblings } = this.#ports;
    for (const sibling of siblings()) {
      net.send(this.node, sibling.node, () => {
        const { held } = sibling;
        if (held === undefined) return;
        net.send(sibling.node, this.node, () => this.#memory?.link.offer(held, "sibling"));
      });
    }
    this.node.after(1_000, () => this.#askSiblings());
  }

  #callBackend(exchange: Exchange, backend: Backend, events: CallEvents): UpstreamCall {
    const { request } = exchange;
    const spoken = exchange.outputTokens();
    const job = {
      blocks: request.blocks,
      inputTokens: request.inputTokens + spoken,
      outputTokens: Math.max(1, request.outputTokens - spoken),
    };
    const isRemote = exchange.facts.arrivedFrom !== undefined;
    const call: BackendCall = new BackendCall(this.timeline, backend, job, {
      connected: events.connected,
      firstToken: (hitTokens) =>
        events.firstToken({
          backend: backend.server.name,
          region: backend.server.region,
          hitTokens,
          isRemote,
        }),
      complete: events.complete,
      failed: events.failed,
    });
    return {
      start: () => call.start(),
      cancel: () => call.cancel(),
      lastTokenAt: () => call.lastTokenAt(),
      outputTokens: () => call.outputTokens,
      isTrueEnd: () => call.ending === "complete",
    };
  }

  #alive(): Memory {
    if (this.#memory === undefined) throw new Error("the proxy was never started");
    return this.#memory;
  }
}

/** Nobody is there. */
const deadCall: UpstreamCall = {
  start: () => undefined,
  cancel: () => undefined,
  lastTokenAt: () => undefined,
  outputTokens: () => 0,
  isTrueEnd: () => false,
};

function factsOf(
  request: SimRequest,
  origin: { readonly arrivedFrom: string | undefined; readonly isContinuation: boolean },
): RequestFacts {
  return {
    requestId: String(request.id),
    tenant: request.tenant,
    kind: "chat",
    model: request.model,
    stream: true,
    inputTokens: request.inputTokens,
    outputTokensMax: undefined,
    timeoutMs: undefined,
    continuable: true,
    protocol: "openai",
    path: "/v1/chat/completions",
    headers: noHeaders,
    prefix: request.blocks,
    ...origin,
  };
}
