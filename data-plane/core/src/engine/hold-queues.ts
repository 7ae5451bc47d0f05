// Requests that wait at the proxy for a place, first come first served within each model. One thread's own: its shell wakes
// them (see `Engine.takeRoom`), and what it forgets to wake asks again by itself.

import type { Attempts } from "../attempt/index.ts";

/** Requests of one model that one thread holds; beyond it they are sent at once. */
export const heldMax = 1_000;

/** One request that waits. */
export type Ticket = {
  readonly attempts: Attempts;
  readonly model: string;
  readonly tokens: number;
  /** It can't use every place: it does not stand in the way of those behind it. */
  readonly isPicky: boolean;
  /** Tokens of those who stand before it. */
  aheadTokens: number;
  before: Ticket | undefined;
  behind: Ticket | undefined;
  isIn: boolean;
};

export type HeldRequest = Pick<Ticket, "attempts" | "model" | "tokens" | "isPicky">;

/** One model's. */
class HoldQueue {
  first: Ticket | undefined;
  last: Ticket | undefined;
  count = 0;
  tokens = 0;
  /** Those that stand in the way of others. */
  plain = 0;
  /** A place may be free: somebody is to be asked. */
  isOpen = false;
  /** Who was asked last, and has not left for it. */
  asked: Ticket | undefined;
}

/**
 * @example
 * const ticket = queues.join({ attempts, model: "big", tokens: 900, isPicky: false });
 * queues.open();                       // a call ended
 * queues.take();                       // → attempts: whoever waits longest
 * queues.leave(ticket);
 */
export class HoldQueues {
  readonly #queues = new Map<string, HoldQueue>();
  #count = 0;
  #isOpen = false;

  /** Of all models. */
  get count(): number {
    return this.#count;
  }

  countOf(model: string): number {
    return this.#queues.get(model)?.count ?? 0;
  }

  tokensOf(model: string): number {
    return this.#queues.get(model)?.tokens ?? 0;
  }

  /** There is no room for one more. */
  isFull(model: string): boolean {
    return this.countOf(model) >= heldMax;
  }

  /** Somebody stands before the ticket, or before one that is new: it is not its turn. */
  isBehind(model: string, ticket: Ticket | undefined): boolean {
    if (this.#count === 0) return false;
    const queue = this.#queues.get(model);
    if (queue === undefined || queue.plain === 0) return false;
    if (ticket === undefined) return true;
    for (let each = queue.first; each !== undefined && each !== ticket; each = each.behind) {
      if (!each.isPicky) return true;
    }
    return false;
  }

  join(request: HeldRequest): Ticket {
    const queue = this.#queueOf(request.model);
    const { last } = queue;
    const ticket: Ticket = {
      ...request,
      aheadTokens: queue.tokens,
      before: last,
      behind: undefined,
      isIn: true,
    };
    if (last === undefined) queue.first = ticket;
    else last.behind = ticket;
    queue.last = ticket;
    count(queue, ticket, 1);
    this.#count += 1;
    return ticket;
  }

  /** For whatever reason; those behind it move up. */
  leave(ticket: Ticket): void {
    const queue = this.#queues.get(ticket.model);
    if (queue === undefined || !ticket.isIn) return;
    ticket.isIn = false;
    for (let each = ticket.behind; each !== undefined; each = each.behind) {
      each.aheadTokens -= ticket.tokens;
    }
    if (ticket.before === undefined) queue.first = ticket.behind;
    else ticket.before.behind = ticket.behind;
    if (ticket.behind === undefined) queue.last = ticket.before;
    else ticket.behind.before = ticket.before;
    count(queue, ticket, -1);
    this.#count -= 1;
  }

  /** A call ended, or the world changed: the first of each model is to be asked whether it has a place now. */
  open(): void {
    if (this.#count === 0) return;
    this.#isOpen = true;
    for (const queue of this.#queues.values()) {
      queue.isOpen = true;
      queue.asked = undefined;
    }
  }

  /**
   * The next one to ask. While those who are asked leave, the next is asked; when one stays, nobody who stands behind it
   * is, unless it is picky. undefined: nobody more, until `open`.
   */
  take(): Attempts | undefined {
    if (!this.#isOpen) return undefined;
    for (const queue of this.#queues.values()) {
      const next = queue.isOpen ? nextOf(queue) : undefined;
      queue.asked = next;
      if (next !== undefined) return next.attempts;
      queue.isOpen = false;
    }
    this.#isOpen = false;
    return undefined;
  }

  #queueOf(model: string): HoldQueue {
    const known = this.#queues.get(model);
    if (known !== undefined) return known;
    // Models of policies that came and went: empty queues are of no more use.
    for (const [name, each] of this.#queues) if (each.count === 0) this.#queues.delete(name);
    const made = new HoldQueue();
    this.#queues.set(model, made);
    return made;
  }
}

function nextOf({ first, asked }: HoldQueue): Ticket | undefined {
  if (asked === undefined || !asked.isIn) return first;
  return asked.isPicky ? asked.behind : undefined;
}

function count(queue: HoldQueue, ticket: Ticket, sign: 1 | -1): void {
  queue.count += sign;
  queue.tokens += sign * ticket.tokens;
  if (!ticket.isPicky) queue.plain += sign;
}
