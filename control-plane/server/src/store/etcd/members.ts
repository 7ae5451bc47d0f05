// All members of an etcd, the nearest first: which one a call goes to, and whether it may go to a second.

import { performance } from "node:perf_hooks";
import { EndpointOrder } from "@meridian/control-core/watch";
import { err, type Result } from "@meridian/proto/base";
import type { StoreError } from "../store.ts";
import { type Called, EtcdMember, type EtcdTls } from "./member.ts";

/** Every call has a deadline; a healthy commit over 235 ms of distance takes a tenth of it. */
export const callDeadlineMs = 3_000;
const restMs = 10_000;

export class EtcdMembers {
  readonly #members: readonly EtcdMember[];
  readonly #order: EndpointOrder;

  constructor(urls: readonly string[], tls: EtcdTls | undefined) {
    this.#members = urls.map((url) => new EtcdMember(url, tls));
    this.#order = new EndpointOrder(urls.length, restMs);
  }

  get count(): number {
    return this.#members.length;
  }

  get all(): readonly EtcdMember[] {
    return this.#members;
  }

  /** By its place; the engines name members so. */
  at(endpoint: number): EtcdMember {
    const member = this.#members[endpoint];
    if (member === undefined) throw new RangeError(`there is no etcd member ${endpoint}`);
    return member;
  }

  /**
   * Calls the nearest member that did not fail lately, and a second one when the first can't be reached: always for
   * what is the same done twice (`repeatable`), else only when the first surely never got it.
   */
  async call<T>(
    request: (member: EtcdMember) => Called<T>,
    options: { readonly repeatable: boolean },
  ): Promise<Result<T, StoreError>> {
    let last: StoreError = { kind: "unavailable", message: "there is no etcd member" };
    for (let attempt = 0; attempt < Math.min(3, this.count); attempt++) {
      const endpoint = this.#order.choose(performance.now());
      const called = await request(this.at(endpoint));
      if (called.kind === "ok") {
        this.#order.succeeded(endpoint);
        return called;
      }
      last = called.error.error;
      if (last.kind !== "unavailable") return err(last);
      this.#order.failed(endpoint, performance.now());
      if (!options.repeatable && !called.error.refused) return err(last);
    }
    return err(last);
  }

  close(): void {
    for (const member of this.#members) member.close();
  }
}
