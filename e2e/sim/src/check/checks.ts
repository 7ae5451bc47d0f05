// Tells all checkers what happens, mixes it into the run's trace, and keeps what they find. Bounded: of one checker the
// first few violations say enough.

import type { Scene } from "../scene/scene.ts";
import type { Checker, CheckerMaker, Violation } from "./checker.ts";

const keptPerChecker = 5;

/** Numbers that stand for events in the trace. */
const mark = {
  refused: 1,
  called: 2,
  spoke: 3,
  held: 4,
  ended: 5,
  applied: 6,
  observed: 7,
  verdict: 8,
  arrived: 9,
  firstToken: 10,
  finished: 11,
  began: 12,
} as const;

export class Checks implements Required<Checker> {
  readonly #scene: Scene;
  readonly #checkers: Checker[];
  readonly violations: Violation[] = [];
  /** Requests that clients' tries brought to proxies, and calls to model servers that came of them. */
  readonly tally = { requests: 0, calls: 0 };
  readonly #counts = new Map<string, number>();

  constructor(scene: Scene, makers: { readonly [name: string]: CheckerMaker }) {
    this.#scene = scene;
    this.#checkers = Object.entries(makers).map(([name, make]) =>
      make(scene, (message) => this.#violate(name, message)),
    );
  }

  /** One more who is told everything. */
  listen(checker: Checker): void {
    this.#checkers.push(checker);
  }

  /** By checker. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  readonly began: Required<Checker>["began"] = (exchange) => {
    this.#note(mark.began, exchange.request.id);
    if (!exchange.isFromPeer) this.tally.requests += 1;
    for (const each of this.#checkers) each.began?.(exchange);
  };

  readonly refused: Required<Checker>["refused"] = (exchange, code) => {
    this.#note(mark.refused, exchange.request.id);
    for (const each of this.#checkers) each.refused?.(exchange, code);
  };

  readonly called: Required<Checker>["called"] = (exchange, call) => {
    this.#note(mark.called, exchange.request.id, call.attempt, call.candidate.slot);
    if (call.candidate.kind === "backend") this.tally.calls += 1;
    for (const each of this.#checkers) each.called?.(exchange, call);
  };

  readonly spoke: Required<Checker>["spoke"] = (exchange, spoken) => {
    this.#note(mark.spoke, exchange.request.id, spoken.attempt);
    for (const each of this.#checkers) each.spoke?.(exchange, spoken);
  };

  readonly held: Required<Checker>["held"] = (exchange) => {
    this.#note(mark.held, exchange.request.id);
    for (const each of this.#checkers) each.held?.(exchange);
  };

  readonly ended: Required<Checker>["ended"] = (exchange, ending) => {
    this.#scene.world.trace.text(ending.kind);
    this.#note(mark.ended, exchange.request.id, exchange.calls);
    for (const each of this.#checkers) each.ended?.(exchange, ending);
  };

  readonly applied: Required<Checker>["applied"] = (proxy, snapshot, source) => {
    this.#scene.world.trace.text(`${proxy.node.name} ${source}`);
    this.#note(mark.applied, Number(snapshot.version?.sequence ?? 0n));
    for (const each of this.#checkers) each.applied?.(proxy, snapshot, source);
  };

  readonly observed: Required<Checker>["observed"] = (proxy, frame) => {
    this.#note(mark.observed, Number(frame.sequence));
    for (const each of this.#checkers) each.observed?.(proxy, frame);
  };

  readonly verdict: Required<Checker>["verdict"] = (control, change) => {
    this.#scene.world.trace.text(`${change.name} ${change.verdict}`);
    this.#note(mark.verdict, change.at);
    for (const each of this.#checkers) each.verdict?.(control, change);
  };

  readonly arrived: Required<Checker>["arrived"] = (record, exchange) => {
    this.#note(mark.arrived, record.request.id);
    for (const each of this.#checkers) each.arrived?.(record, exchange);
  };

  readonly firstToken: Required<Checker>["firstToken"] = (record) => {
    this.#note(mark.firstToken, record.request.id, record.hitTokens);
    for (const each of this.#checkers) each.firstToken?.(record);
  };

  readonly finished: Required<Checker>["finished"] = (record, told) => {
    this.#scene.world.trace.text(record.ending ?? "");
    this.#note(mark.finished, record.request.id, record.outputTokens);
    for (const each of this.#checkers) each.finished?.(record, told);
  };

  readonly eachSecond = (): void => {
    for (const each of this.#checkers) each.eachSecond?.();
  };

  readonly atEnd = (): void => {
    for (const each of this.#checkers) each.atEnd?.();
  };

  #note(kind: number, a: number, b = 0, c = 0): void {
    const { trace, timeline } = this.#scene.world;
    trace.note(kind, timeline.now, a, b * 65_536 + c);
  }

  #violate(checker: string, message: string): void {
    const count = (this.#counts.get(checker) ?? 0) + 1;
    this.#counts.set(checker, count);
    if (count > keptPerChecker) return;
    this.violations.push({ checker, atMs: this.#scene.world.timeline.now, message });
  }
}
