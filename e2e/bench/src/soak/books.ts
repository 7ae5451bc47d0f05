// What the proxy's counters must say after the load: counted from what the clients and the upstreams saw.

import { readEvents } from "./events.ts";
import type { Case } from "./judge.ts";

/** A counter must lie between both, ends included. They are equal wherever the two sides can know the same. */
export type Range = { least: number; most: number };

export class Books {
  /** Requests by class of status. */
  readonly complete: Range = { least: 0, most: 0 };
  readonly left: Range = { least: 0, most: 0 };
  readonly broken: Range = { least: 0, most: 0 };
  /** Calls that the upstreams answered to the end. */
  readonly completeCalls: Range = { least: 0, most: 0 };
  readonly calls: Range = { least: 0, most: 0 };
  /** Tokens of answers. */
  readonly output: Range = { least: 0, most: 0 };

  enter(one: Case): void {
    const { calls, plan, seen } = one;
    const completeCalls = calls.filter((each) => each.end === "complete").length;
    add(this.calls, calls.length);
    if (plan.expected === "left") this.#enterLeft(one, completeCalls);
    else {
      add(this.complete, 1);
      add(this.completeCalls, completeCalls);
      add(
        this.output,
        plan.expected === "complete" ? plan.script.tokens : readEvents(seen.body).tokens,
      );
    }
    if (plan.expected === "broken") add(this.broken, 1);
  }

  /** Of an answer that was on its way when its client left, the proxy has had all that the upstream wrote, or less. */
  #enterLeft({ calls, plan, seen }: Case, completeCalls: number): void {
    // The upstream had said everything: the proxy may have passed the end on before it knew that nobody was there.
    const isOver = completeCalls > 0;
    this.left.most += 1;
    this.left.least += isOver || !seen.isSent ? 0 : 1;
    this.complete.most += isOver ? 1 : 0;
    this.completeCalls.most += completeCalls;
    const written = calls.reduce((sum, each) => sum + each.tokens, 0);
    this.output.least += plan.stream ? Math.min(written, readEvents(seen.body).tokens) : 0;
    this.output.most += written;
    // A call that was made while the client left may never have reached its upstream.
    this.calls.most += 1;
  }
}

function add(range: Range, count: number): void {
  range.least += count;
  range.most += count;
}

/** The sum of a metric's series that have all of these labels, out of Prometheus's text. */
export function sumOf(
  metrics: string,
  name: string,
  labels: { readonly [label: string]: string } = {},
): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  let sum = 0;
  for (const line of metrics.split("\n")) {
    const isSeries = line.startsWith(`${name}{`) || line.startsWith(`${name} `);
    if (!isSeries || !wanted.every((each) => line.includes(each))) continue;
    sum += Number(line.slice(line.lastIndexOf(" ") + 1));
  }
  return sum;
}
