// A call to another region's proxy: over a connection between the regions, which takes a round trip to open where none is
// warm, and tells nothing where the way is cut.

import { type UpstreamFailure, upstreamFailure } from "@meridian/data-core/attempt";
import type { Instant } from "@meridian/proto/base";
import { Connection } from "../net/connection.ts";
import type { Net } from "../net/net.ts";
import type { AskerEnding } from "./asker.ts";
import type { CallEvents, Exchange, UpstreamCall } from "./exchange.ts";
import type { SimProxy } from "./proxy.ts";

/** A connection that was not used for so long is closed. */
const keepAliveMs = 60_000;

/** Open connections of one proxy to the others, by name. */
export class WarmPeers {
  readonly #used = new Map<string, { readonly life: number; readonly at: Instant }>();

  isWarm(peer: SimProxy, now: Instant): boolean {
    const used = this.#used.get(peer.node.name);
    return used !== undefined && used.life === peer.node.life && now - used.at < keepAliveMs;
  }

  use(peer: SimProxy, now: Instant): void {
    this.#used.set(peer.node.name, { life: peer.node.life, at: now });
  }

  drop(peer: SimProxy): void {
    this.#used.delete(peer.node.name);
  }
}

export type PeerCallPorts = {
  readonly net: Net;
  readonly from: Exchange;
  readonly peer: SimProxy;
  readonly warm: WarmPeers;
  readonly events: CallEvents;
  /** A longer queue there is not worth it. */
  readonly queueMaxMs: number | undefined;
  /** It asks for the rest of a broken answer, of which the client has so many tokens; 0: for a whole one. */
  readonly spokenTokens: number;
};

export class PeerCall implements UpstreamCall {
  readonly #ports: PeerCallPorts;
  #connection: Connection | undefined;
  #remote: Exchange | undefined;
  #hasAnswered = false;
  #isOver = false;
  #isTrueEnd = false;
  #outputTokens = 0;

  constructor(ports: PeerCallPorts) {
    this.#ports = ports;
  }

  readonly start = (): void => {
    const { net, from, peer, warm, events } = this.#ports;
    if (warm.isWarm(peer, net.timeline.now)) {
      this.#connect();
      return;
    }
    // TCP's round trip; TLS takes another one.
    net.dial(from.proxy.node, peer.node, {
      connected: () =>
        net.dial(from.proxy.node, peer.node, {
          connected: () => {
            if (!this.#isOver) this.#connect();
          },
          refused: () => undefined,
        }),
      refused: () => {
        if (!this.#isOver) this.#end(() => events.failed(upstreamFailure("connect", "refused")));
      },
    });
  };

  readonly cancel = (): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#connection?.close("near");
  };

  readonly lastTokenAt = (): Instant | undefined => {
    const { net, from, peer } = this.#ports;
    if (!this.#hasAnswered) return undefined;
    if (!peer.node.isUp || this.#isOver) return 0;
    const last = this.#remote?.lastTokenAt();
    if (last === undefined) return 0;
    if (!net.isCut(peer.node, from.proxy.node)) return last;
    return Math.min(last, net.cutSince(peer.node, from.proxy.node));
  };

  readonly outputTokens = (): number => {
    return this.#isOver ? this.#outputTokens : (this.#remote?.outputTokens() ?? 0);
  };

  /** What crosses regions is not modelled byte for byte. */
  readonly sent = (): undefined => undefined;

  readonly isTrueEnd = (): boolean => {
    return this.#isTrueEnd;
  };

  #connect(): void {
    const { net, from, peer, warm, events } = this.#ports;
    if (!peer.node.isUp) {
      // A warm connection to a process that has died: its host has told, or nobody ever will.
      warm.drop(peer);
      if (!peer.node.isHostUp) return;
      this.#end(() => events.failed(upstreamFailure("no-answer", "reset")));
      return;
    }
    warm.use(peer, net.timeline.now);
    const connection = new Connection(
      net,
      { near: from.proxy.node, far: peer.node },
      { near: () => this.#cut(), far: () => this.#remote?.leave() },
    );
    this.#connection = connection;
    events.connected();
    if (!this.#isOver) connection.send("near", () => this.#arrive(connection));
  }

  #arrive(connection: Connection): void {
    const { from, peer, events } = this.#ports;
    const remote = peer.take(
      from.request,
      {
        arrivedFrom: from.proxy.node.region,
        spokenTokens: this.#ports.spokenTokens,
        queueMaxMs: this.#ports.queueMaxMs,
      },
      {
        firstToken: (served) =>
          connection.send("far", () => {
            this.#hasAnswered = true;
            if (!this.#isOver) events.firstToken({ ...served, isRemote: true });
          }),
        end: (ending) => {
          connection.send("far", () => this.#hearEnd(ending));
        },
      },
    );
    this.#remote = remote;
    remote.start();
  }

  #hearEnd(ending: AskerEnding): void {
    if (this.#isOver) return;
    const { events } = this.#ports;
    switch (ending.kind) {
      case "complete":
        this.#outputTokens = ending.outputTokens;
        this.#isTrueEnd = ending.isTrue;
        this.#end(() => events.complete());
        return;
      case "broken":
        this.#outputTokens = ending.outputTokens;
        this.#end(() =>
          events.failed(upstreamFailure("error-frame", "an error inside the answer")),
        );
        return;
      case "refused":
        this.#end(() => events.failed(refusalOf(ending)));
    }
  }

  #cut(): void {
    if (this.#isOver) return;
    const { events, peer, warm } = this.#ports;
    warm.drop(peer);
    this.#outputTokens = this.#remote?.outputTokens() ?? 0;
    const kind = this.#hasAnswered ? "reset" : "no-answer";
    this.#end(() => events.failed(upstreamFailure(kind, "the connection broke")));
  }

  #end(tell: () => void): void {
    this.#isOver = true;
    this.#connection?.close("near");
    tell();
  }
}

function refusalOf(ending: Extract<AskerEnding, { kind: "refused" }>): UpstreamFailure {
  const { status, code, retryAfterMs } = ending;
  if (status !== 503) return upstreamFailure("status", `status ${status}`, { status });
  // A region that is full tells its queue.
  const isFull = code === "region_full" && retryAfterMs !== undefined;
  const told = isFull ? { status, retryAfterMs } : { status };
  return upstreamFailure("region-refused", `the region refused: ${code}`, told);
}
