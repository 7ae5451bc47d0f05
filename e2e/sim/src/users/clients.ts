// Clients of one place: sessions with turns, each turn a request by an SDK that looks its endpoint up, waits, and tries
// again twice, as OpenAI's and Anthropic's do.

import type { Random } from "@meridian/proto/base";
import type { AskerEnding, Served } from "../fleet/asker.ts";
import type { Exchange } from "../fleet/exchange.ts";
import { fromClient, type SimProxy } from "../fleet/proxy.ts";
import { Zipf } from "../kernel/draws.ts";
import type { ClientEnding, Records, RequestRecord } from "../kernel/request.ts";
import type { Timer } from "../kernel/timeline.ts";
import { Connection } from "../net/connection.ts";
import type { Net } from "../net/net.ts";
import type { SimNode } from "../net/node.ts";
import { type DemandShape, nextSessionMs, type SessionShape, SessionTexts } from "./demand.ts";
import type { Resolver } from "./dns.ts";

/** Who sends what share of the sessions. */
export type TenantShare = {
  readonly tenant: string;
  readonly model: string;
  readonly share: number;
};

export type ClientNotes = {
  /** A try reached a proxy. */
  readonly arrived: (record: RequestRecord, exchange: Exchange) => void;
  readonly firstToken: (record: RequestRecord) => void;
  /** What the client believes at the end; `told`: undefined where nobody told it anything. */
  readonly finished: (record: RequestRecord, told: AskerEnding | undefined) => void;
};

export type ClientsPorts = {
  readonly net: Net;
  readonly node: SimNode;
  readonly random: Random;
  readonly records: Records;
  readonly resolvers: readonly Resolver[];
  readonly proxiesOf: (region: string) => readonly SimProxy[];
  readonly demand: DemandShape;
  readonly session: SessionShape;
  readonly tenants: readonly TenantShare[];
  readonly notes: ClientNotes;
  /** Ids of sessions and requests, for the whole world. */
  readonly nextId: () => number;
  /** No session begins from here on. */
  readonly untilMs: number;
  /** Fewer or more than the SDK's two. */
  readonly retries: number;
};

/** From a question to the end of its answer, roughly. */
const usualAnswerMs = 4_000;

/** What an SDK does. Source: openai-python and anthropic-sdk-python, `_calculate_retry_timeout`, max_retries = 2. */
const backOff = { firstMs: 500, capMs: 8_000, jitter: 0.25 } as const;
const connectMs = 5_000;
/** Without a byte for so long a client gives up; the SDK's own ten minutes outlast a run. */
const silenceMs = 45_000;

export class Clients {
  readonly #ports: ClientsPorts;
  readonly #zipf: Zipf;

  constructor(ports: ClientsPorts, fromMs: number) {
    this.#ports = ports;
    this.#zipf = new Zipf(ports.session.systemPrompts);
    ports.net.timeline.at(fromMs, () => {
      this.#joinSessions(fromMs);
      this.#nextSession();
    });
  }

  /** Sessions that began before the run and are under way: without them demand would take a minute to build up. */
  #joinSessions(fromMs: number): void {
    const { demand, net, random, session } = this.#ports;
    const turnMs = session.thinkMs * 1.4 + usualAnswerMs;
    const underWay = Math.round((demand.rate(fromMs) * (session.turns - 1) * turnMs) / 1_000);
    for (let n = 0; n < underWay; n++) {
      net.timeline.after(random.next() * turnMs, () => this.#beginSession());
    }
  }

  #nextSession(): void {
    const { demand, net, random, untilMs } = this.#ports;
    const waitMs = nextSessionMs(random, demand, net.timeline.now);
    const at = net.timeline.now + waitMs;
    if (at >= untilMs) return;
    net.timeline.at(at, () => {
      this.#beginSession();
      this.#nextSession();
    });
  }

  #beginSession(): void {
    const { net, nextId, random, resolvers, session } = this.#ports;
    const id = nextId();
    const own = random.fork(`session ${id}`);
    const resolver = resolvers[own.integer(resolvers.length)];
    if (resolver === undefined) return;
    const texts = new SessionTexts(own, session, this.#zipf, { session: id, at: net.timeline.now });
    const person = { id, texts, resolver, random: own, tenant: this.#pickTenant(own) };
    this.#turn(person);
  }

  #pickTenant(random: Random): TenantShare {
    const { tenants } = this.#ports;
    let draw = random.next() * tenants.reduce((sum, each) => sum + each.share, 0);
    for (const each of tenants) {
      draw -= each.share;
      if (draw < 0) return each;
    }
    return tenants[0] ?? { tenant: "anonymous", model: "m", share: 1 };
  }

  #turn(person: Person): void {
    const { net, nextId, node, records, untilMs } = this.#ports;
    const { now } = net.timeline;
    const turn = now < untilMs ? person.texts.next() : undefined;
    if (turn === undefined) return;
    const record = records.begin({
      id: nextId(),
      at: now,
      region: node.region,
      session: person.id,
      tenant: person.tenant.tenant,
      model: person.tenant.model,
      ...turn,
    });
    new Ask(this.#ports, person, record, () => {
      net.timeline.after(person.texts.thinkMs(), () => this.#turn(person));
    }).try();
  }
}

type Person = {
  readonly id: number;
  readonly texts: SessionTexts;
  readonly resolver: Resolver;
  readonly random: Random;
  readonly tenant: TenantShare;
};

/** One request with its tries. */
class Ask {
  readonly #ports: ClientsPorts;
  readonly #person: Person;
  readonly #record: RequestRecord;
  readonly #done: () => void;
  #tries = 0;
  #connection: Connection | undefined;
  #exchange: Exchange | undefined;
  #timer: Timer | undefined;
  /** Counts tries: news of a former one is no news. */
  #turn = 0;

  constructor(ports: ClientsPorts, person: Person, record: RequestRecord, done: () => void) {
    this.#ports = ports;
    this.#person = person;
    this.#record = record;
    this.#done = done;
  }

  try(): void {
    this.#tries += 1;
    const { proxiesOf } = this.#ports;
    const region = this.#person.resolver.resolve();
    const proxies = proxiesOf(region);
    this.#dial(proxies, this.#person.random.integer(Math.max(1, proxies.length)), proxies.length);
  }

  /** One address after the other: who has several tries the next where nobody listens. */
  #dial(proxies: readonly SimProxy[], at: number, left: number): void {
    const { net, node } = this.#ports;
    const proxy = proxies[at % Math.max(1, proxies.length)];
    if (proxy === undefined || left <= 0) {
      this.#again(undefined);
      return;
    }
    this.#turn += 1;
    const turn = this.#turn;
    const next = (): void => {
      if (turn !== this.#turn) return;
      net.timeline.cancel(this.#timer);
      this.#dial(proxies, at + 1, left - 1);
    };
    this.#timer = net.timeline.after(connectMs, next);
    net.dial(node, proxy.node, {
      refused: next,
      connected: () => {
        if (turn !== this.#turn) return;
        net.timeline.cancel(this.#timer);
        if (proxy.node.isUp) this.#send(proxy);
        else next();
      },
    });
  }

  #send(proxy: SimProxy): void {
    const { net, node, notes } = this.#ports;
    const turn = this.#turn;
    let exchange: Exchange | undefined;
    const connection = new Connection(
      net,
      { near: node, far: proxy.node },
      {
        near: () => {
          if (turn === this.#turn) this.#lost();
        },
        far: () => exchange?.leave(),
      },
    );
    this.#connection = connection;
    this.#watch(turn);
    connection.send("near", () => {
      exchange = proxy.take(this.#record.request, fromClient, {
        firstToken: (served) =>
          connection.send("far", () => {
            if (turn === this.#turn) this.#hearFirst(served);
          }),
        end: (ending) => {
          connection.send("far", () => {
            if (turn === this.#turn) this.#hearEnd(ending);
          });
        },
      });
      this.#exchange = exchange;
      notes.arrived(this.#record, exchange);
      exchange.start();
    });
  }

  /** Gives up after a long silence. Tokens between the first and the last are asked for when it would be. */
  #watch(turn: number, sinceMs = this.#ports.net.timeline.now): void {
    const { net, node } = this.#ports;
    net.timeline.cancel(this.#timer);
    this.#timer = net.timeline.at(sinceMs + silenceMs, () => {
      if (turn !== this.#turn) return;
      const proxy = this.#exchange?.proxy.node;
      const isCut = proxy === undefined || !proxy.isUp || net.isCut(proxy, node);
      const heardAt = isCut ? undefined : this.#exchange?.lastTokenAt();
      if (heardAt !== undefined && heardAt > sinceMs) this.#watch(turn, heardAt);
      else this.#finish("unheard", undefined);
    });
  }

  #hearFirst(served: Served): void {
    const record = this.#record;
    record.firstTokenAt ??= this.#ports.net.timeline.now;
    record.servedBy = served.backend;
    record.servedIn = served.region;
    record.hitTokens = served.hitTokens;
    record.remote = served.isRemote;
    this.#ports.notes.firstToken(record);
    this.#watch(this.#turn);
  }

  #hearEnd(ending: AskerEnding): void {
    switch (ending.kind) {
      case "complete":
        this.#record.outputTokens = ending.outputTokens;
        this.#finish("complete", ending);
        return;
      case "broken":
        this.#record.outputTokens = ending.outputTokens;
        this.#finish("broken", ending);
        return;
      case "refused":
        if (ending.status === 403 || this.#record.firstTokenAt !== undefined) {
          this.#finish("refused", ending);
        } else this.#again(ending);
    }
  }

  #lost(): void {
    // A connection that breaks within an answer is the application's to deal with.
    if (this.#record.firstTokenAt !== undefined) this.#finish("broken", undefined);
    else this.#again(undefined);
  }

  #again(ending: Extract<AskerEnding, { kind: "refused" }> | undefined): void {
    const { net, retries } = this.#ports;
    this.#close();
    if (this.#tries > retries) {
      this.#finish(ending === undefined ? "unheard" : "refused", ending);
      return;
    }
    const backMs = Math.min(backOff.capMs, backOff.firstMs * 2 ** (this.#tries - 1));
    const jittered = backMs * (1 - backOff.jitter * this.#person.random.next());
    const waitMs = Math.max(jittered, ending?.retryAfterMs ?? 0);
    net.timeline.after(waitMs, () => this.try());
  }

  #close(): void {
    this.#ports.net.timeline.cancel(this.#timer);
    this.#turn += 1;
    this.#connection?.close("near");
    this.#connection = undefined;
    this.#exchange = undefined;
  }

  #finish(ending: ClientEnding, told: AskerEnding | undefined): void {
    const { net, notes, records } = this.#ports;
    this.#close();
    this.#record.attempts = this.#tries;
    records.end(this.#record, ending, net.timeline.now);
    notes.finished(this.#record, told);
    this.#done();
  }
}
