// How much of its clients' demand a proxy has sent to other regions of late, against what the region table grants. Each
// engine keeps its own account: the table is in shares, and shares of all threads' and proxies' demand add up.

import type { Instant } from "@meridian/proto/base";

/** A request's weight is down to a third after so long: the table changes by a fifth of the demand each second at most. */
const memoryMs = 5_000;

/** The table's shares come from demand of ten seconds; what the last seconds are beyond it may go, too. */
const slack = 1.25;

/** Amounts that fade; one for the arrivals, one for each region. */
class Fading {
  #amount = 0;
  #at: Instant = 0;

  read(now: Instant): number {
    const ms = now - this.#at;
    return ms <= 0 ? this.#amount : this.#amount * Math.exp(-ms / memoryMs);
  }

  add(amount: number, now: Instant): void {
    this.#amount = Math.max(0, this.read(now) + amount);
    this.#at = Math.max(now, this.#at);
  }
}

type Account = { readonly arrived: Fading; readonly sent: Map<string, Fading> };

/**
 * By model and region, in tokens.
 *
 * @example
 * account.arrived("llama-70b", 900, now);
 * if (account.mayGo("llama-70b", "eu-west", 0.2, now)) account.sent("llama-70b", "eu-west", 900, now);
 */
export class SentAway {
  readonly #accounts = new Map<string, Account>();

  /** A request of an own client. */
  arrived(model: string, tokens: number, now: Instant): void {
    this.#account(model).arrived.add(tokens, now);
  }

  sent(model: string, region: string, tokens: number, now: Instant): void {
    const { sent } = this.#account(model);
    const amount = sent.get(region) ?? new Fading();
    sent.set(region, amount);
    amount.add(tokens, now);
  }

  /** The region took nothing: it counts as not sent. */
  returned(model: string, region: string, tokens: number, now: Instant): void {
    this.#accounts.get(model)?.sent.get(region)?.add(-tokens, now);
  }

  /** What was sent there is below 1.25 × the share of what came: one more may go, and be beyond it by its own tokens. */
  mayGo(model: string, region: string, share: number, now: Instant): boolean {
    const account = this.#account(model);
    const sent = account.sent.get(region)?.read(now) ?? 0;
    return sent < slack * share * account.arrived.read(now);
  }

  /** Of models and regions that the policy no longer has nothing need be kept. */
  clear(): void {
    this.#accounts.clear();
  }

  #account(model: string): Account {
    const known = this.#accounts.get(model);
    if (known !== undefined) return known;
    const made: Account = { arrived: new Fading(), sent: new Map() };
    this.#accounts.set(model, made);
    return made;
  }
}
