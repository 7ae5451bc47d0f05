// A region's proxy: the real engine with its shell's parts around it, on a simulated node with a disk.

import type { Attempts, CallRole, Candidate } from "@meridian/data-core/attempt";
import { type Engine, noHeaders, type RequestFacts } from "@meridian/data-core/engine";
import { type Problem, type Random, refuses } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { readSnapshot } from "@meridian/proto/snapshot";
import type { ControlPlane } from "../control/control-plane.ts";
import type { SimRequest } from "../kernel/request.ts";
import type { Timeline } from "../kernel/timeline.ts";
import type { Net } from "../net/net.ts";
import type { SimNode } from "../net/node.ts";
import type { Asker, AskerEnding } from "./asker.ts";
import { type Backend, BackendCall } from "./backend.ts";
import { type CallEvents, Exchange, type UpstreamCall } from "./exchange.ts";
import { PeerCall } from "./peer-call.ts";
import { ProxyLife } from "./proxy-life.ts";
import type { ProxyNotes, ProxySabotage } from "./proxy-notes.ts";
import { spokenEvery } from "./spoken-answer.ts";

export type ProxyPorts = {
  readonly net: Net;
  readonly node: SimNode;
  readonly random: Random;
  readonly controls: readonly ControlPlane[];
  readonly backend: (name: string) => Backend | undefined;
  /** Proxies by the address that the policy names. */
  readonly peer: (origin: string) => SimProxy | undefined;
  /** Of any region, this one included. */
  readonly proxiesOf: (region: string) => readonly SimProxy[];
  readonly notes: ProxyNotes;
  readonly sabotage: ProxySabotage;
};

/** Where a request came from, and on what terms. */
export type Origin = {
  readonly arrivedFrom: string | undefined;
  readonly queueMaxMs: number | undefined;
  /** Tokens that the client has already, of an answer that broke; 0: it is no continuation. */
  readonly spokenTokens: number;
};

/** A request that a client sends. */
export const fromClient: Origin = {
  arrivedFrom: undefined,
  queueMaxMs: undefined,
  spokenTokens: 0,
};

/** A call that is to be made. */
export type PlannedCall = {
  readonly candidate: Candidate;
  readonly role: CallRole;
  readonly queueMaxMs: number | undefined;
};

const noPrefix: readonly number[] = [];
/** How long a control plane may take before siblings are asked. */
const patienceMs = 500;

export class SimProxy {
  readonly node: SimNode;
  readonly timeline: Timeline;
  readonly notes: ProxyNotes;
  readonly #ports: ProxyPorts;
  /** Survives crashes. */
  #disk: Snapshot | undefined;
  /** A disk that hangs keeps what it had. */
  isDiskStuck = false;
  #life: ProxyLife | undefined;
  #lives = 0;

  constructor(ports: ProxyPorts) {
    this.#ports = ports;
    this.node = ports.node;
    this.timeline = ports.net.timeline;
    this.notes = ports.notes;
  }

  /** At the start of each life. */
  start(): void {
    this.#lives += 1;
    const random = this.#ports.random.fork(`life ${this.#lives}`);
    const life = new ProxyLife(this.#ports, random, {
      activate: (snapshot, source) => this.#activate(snapshot, source),
      observe: (frame) => {
        this.engine.apply({ kind: "state", frame }, this.node.now());
        this.notes.observed(this, frame);
        this.shareRoom();
      },
    });
    this.#life = life;
    this.node.onDeath(() => {
      for (const exchange of life.exchanges) exchange.die();
      life.exchanges.clear();
    });
    // As the shell: what is on the disk is in force before the first connection is taken.
    if (this.#disk !== undefined) life.link.offer(this.#disk, "disk");
    life.link.start();
    this.node.after(patienceMs, () => this.#askSiblings());
  }

  /** The disk is lost with everything on it. */
  wipe(): void {
    this.#disk = undefined;
  }

  get engine(): Engine {
    return this.#alive().engine;
  }

  get held(): Snapshot | undefined {
    return this.#life?.link.status().held;
  }

  /** What `/gslb/ready` answers. */
  isReady(): boolean {
    const { engine, readiness } = this.#alive();
    const now = this.node.now();
    return readiness.read(engine.report(now), now);
  }

  /** A balancer in front of the region's proxies sends clients to those that have a policy; who died may still be listed. */
  get isListed(): boolean {
    return !this.node.isUp || this.held !== undefined;
  }

  /** Requests that it has under way. */
  get live(): number {
    return this.#life?.exchanges.size ?? 0;
  }

  /** A request of a client or of another region's proxy; who gave it starts it. */
  take(request: SimRequest, origin: Origin, asker: Asker): Exchange {
    // As the shell: where no route chooses by them, beginnings are not read.
    const prefix = this.engine.serving()?.readsPrefix === true ? request.blocks : noPrefix;
    const plain = factsOf(request, origin, prefix);
    const facts = this.#ports.sabotage.alter?.(plain) ?? plain;
    const given = { facts, isFromPeer: origin.arrivedFrom !== undefined };
    const exchange = new Exchange(
      this,
      request,
      { ...given, spokenTokens: origin.spokenTokens },
      asker,
    );
    this.#alive().exchanges.add(exchange);
    return exchange;
  }

  open(exchange: Exchange, planned: PlannedCall, events: CallEvents): UpstreamCall {
    const { backend, net, peer } = this.#ports;
    const { candidate, role, queueMaxMs } = planned;
    if (candidate.kind === "backend") {
      const found = backend(candidate.name);
      return found === undefined ? deadCall : this.#callBackend(exchange, found, events);
    }
    const found = peer(candidate.origin);
    if (found === undefined) return deadCall;
    const { warm } = this.#alive();
    const spokenTokens = role === "continuation" ? exchange.spokenTokens() : 0;
    const from = exchange;
    return new PeerCall({ net, from, peer: found, warm, events, queueMaxMs, spokenTokens });
  }

  began(exchange: Exchange, attempts: Attempts): void {
    this.#alive().byAttempts.set(attempts, exchange);
  }

  /** Whoever is held and may have a place now is told, one after the other. */
  shareRoom(): void {
    const { engine, byAttempts } = this.#alive();
    for (let next = engine.takeRoom(); next !== undefined; next = engine.takeRoom()) {
      byAttempts.get(next)?.tryAgain();
    }
  }

  divert(exchange: Exchange, candidate: Candidate): Candidate {
    return this.#ports.sabotage.divert?.(exchange, candidate) ?? candidate;
  }

  distort(exchange: Exchange, ending: AskerEnding | undefined): AskerEnding | undefined {
    const { distort } = this.#ports.sabotage;
    return distort === undefined ? ending : distort(exchange, ending);
  }

  left(exchange: Exchange): void {
    const life = this.#life;
    life?.exchanges.delete(exchange);
    if (exchange.attempts !== undefined) life?.byAttempts.delete(exchange.attempts);
  }

  #activate(snapshot: Snapshot, source: "control" | "disk" | "sibling"): readonly Problem[] {
    const life = this.#alive();
    const applied = life.engine.apply({ kind: "snapshot", snapshot }, this.node.now());
    const problems = applied.kind === "err" ? applied.error : [];
    if (refuses(problems)) return problems;
    this.notes.applied(this, snapshot, source);
    const view = readSnapshot(snapshot);
    if (view.kind === "ok") life.arrange(view.value);
    if (source !== "disk" && !this.isDiskStuck) this.#disk = snapshot;
    this.shareRoom();
    return problems;
  }

  #askSiblings(): void {
    if (this.held !== undefined) return;
    const { net, proxiesOf } = this.#ports;
    for (const sibling of proxiesOf(this.node.region)) {
      if (sibling === this) continue;
      net.send(this.node, sibling.node, () => {
        const { held } = sibling;
        if (held === undefined) return;
        net.send(sibling.node, this.node, () => this.#life?.link.offer(held, "sibling"));
      });
    }
    this.node.after(1_000, () => this.#askSiblings());
  }

  #callBackend(exchange: Exchange, backend: Backend, events: CallEvents): UpstreamCall {
    const { request } = exchange;
    const spoken = exchange.spokenTokens();
    const job = {
      blocks: request.blocks,
      inputTokens: request.inputTokens + spoken,
      outputTokens: Math.max(1, request.outputTokens - spoken),
    };
    const { name, region } = backend.server;
    const isRemote = exchange.isFromPeer;
    const isSpoken = !exchange.isFromPeer && spoken === 0 && request.id % spokenEvery === 0;
    const call = new BackendCall(
      this.timeline,
      backend,
      { job, isSpoken },
      {
        ...events,
        firstToken: (hitTokens) =>
          events.firstToken({ backend: name, region, hitTokens, isRemote }),
      },
    );
    return {
      start: () => call.start(),
      cancel: () => call.cancel(),
      lastTokenAt: () => call.lastTokenAt(),
      outputTokens: () => call.outputTokens,
      isTrueEnd: () => call.ending === "complete",
      sent: () => call.words?.sent,
    };
  }

  #alive(): ProxyLife {
    if (this.#life === undefined) throw new Error("the proxy was never started");
    return this.#life;
  }
}

/** Nobody is there. */
const deadCall: UpstreamCall = {
  start: () => undefined,
  cancel: () => undefined,
  lastTokenAt: () => undefined,
  outputTokens: () => 0,
  isTrueEnd: () => false,
  sent: () => undefined,
};

function factsOf(
  request: SimRequest,
  { arrivedFrom, queueMaxMs, spokenTokens }: Origin,
  prefix: readonly number[],
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
    prefix,
    arrivedFrom,
    queueMaxMs,
    isContinuation: spokenTokens > 0,
  };
}
