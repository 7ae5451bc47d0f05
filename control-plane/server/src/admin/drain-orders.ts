// Drain and Undrain: orders to take a region or a backend out of service for a time. What the guard decides is decided on
// the store's own rows, and put only if no other order came in between.

import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import {
  type DrainOrder,
  type DrainTarget,
  decideDrain,
  drainsAt,
  drainValue,
} from "@meridian/control-core/drain";
import { readyRegions } from "@meridian/control-core/fleet";
import { type Clock, ok, type Result } from "@meridian/proto/base";
import {
  type DrainRequest,
  type DrainResponse,
  DrainResponseSchema,
  type UndrainRequest,
  type UndrainResponse,
  UndrainResponseSchema,
} from "@meridian/proto/gen/admin_pb";
import { type CallRefusal, describe, refuse } from "../grpc/caller.ts";
import type { CallContext } from "../grpc/unary.ts";
import type { Published } from "../published.ts";
import { type RegionView, readDrain } from "../region/region-view.ts";
import { keys } from "../store/keys.ts";
import type { Listing, Operation, Store, StoreError } from "../store/store.ts";
import type { Audit } from "./audit.ts";
import { problemMessages } from "./messages.ts";

export type DrainOrdersOptions = {
  readonly store: Store;
  readonly clock: Clock;
  readonly view: RegionView;
  readonly published: () => Published | undefined;
  readonly audit: Audit;
};

/** Rows of drains, with what they say; one that can't be read orders nothing. */
type Rows = {
  readonly orders: ReadonlyMap<string, DrainOrder>;
  readonly guardRevision: number;
};

const attemptsMax = 10;
/** Old orders that are removed along with a new one. */
const removedMax = 20;
const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export class DrainOrders {
  readonly #options: DrainOrdersOptions;

  constructor(options: DrainOrdersOptions) {
    this.#options = options;
  }

  async drain(
    request: DrainRequest,
    context: CallContext<"operator">,
  ): Promise<Result<DrainResponse, CallRefusal>> {
    const target = targetOf(request.what);
    if (target.kind === "err") return target;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const tried = await this.#tryDrain(target.value, request, context);
      if (tried !== undefined) return tried;
    }
    return refuse(status.ABORTED, "others give orders all the time; try again");
  }

  async undrain(
    { what }: UndrainRequest,
    context: CallContext<"operator">,
  ): Promise<Result<UndrainResponse, CallRefusal>> {
    const target = targetOf(what);
    if (target.kind === "err") return target;
    const key = keys.drain(target.value.kind, target.value.name);
    const read = await this.#options.store.get(key);
    if (read.kind === "err") return unreachable(read.error);
    const entry = read.value;
    if (entry === undefined) return ok(create(UndrainResponseSchema, { ended: false }));
    const operations: readonly Operation[] = [{ kind: "delete", key }];
    const done = await this.#options.store.commit({ compare: [], operations });
    if (done.kind === "err") return unreachable(done.error);
    const order = readDrain(key, entry.value);
    const ended = order.kind === "ok" && order.value.untilMs > this.#options.clock.wall();
    this.#options.audit("undrain", context, { target: target.value, ended });
    return ok(create(UndrainResponseSchema, { ended }));
  }

  /** undefined: another order came in between; decide again. */
  async #tryDrain(
    target: DrainTarget,
    { forSeconds, reason, force }: DrainRequest,
    context: CallContext<"operator">,
  ): Promise<Result<DrainResponse, CallRefusal> | undefined> {
    const { store, clock, view, published, audit } = this.#options;
    const policy = published()?.policy;
    if (policy === undefined) {
      return refuse(status.FAILED_PRECONDITION, "no policy is in force: there is nothing to drain");
    }
    const listing = await store.list(keys.controlPrefix);
    if (listing.kind === "err") return unreachable(listing.error);
    const rows = readRows(listing.value);
    const wall = clock.wall();
    const drains = drainsAt(rows.orders.values(), wall);
    const regions = policy.regions.map((each) => each.name);
    const ready = readyRegions(regions, view.signs, clock.now());
    const author = describe(context.caller);
    const decided = decideDrain(
      { target, forSeconds, reason, author, force },
      { policy, drains, readyRegions: ready },
      wall,
    );
    if (decided.kind === "err") {
      return ok(create(DrainResponseSchema, { problems: problemMessages(decided.error) }));
    }
    const order = decided.value;
    const done = await this.#put(order, rows, wall);
    if (done.kind === "err") {
      return done.error.kind === "conflict" ? undefined : unreachable(done.error);
    }
    audit("drain", context, { target, untilMs: order.untilMs, reason, force });
    return ok(create(DrainResponseSchema, { untilMs: BigInt(order.untilMs) }));
  }

  #put(order: DrainOrder, { orders, guardRevision }: Rows, wall: number) {
    const key = keys.drain(order.target.kind, order.target.name);
    const over = [...orders].filter(([each, { untilMs }]) => each !== key && untilMs <= wall);
    return this.#options.store.commit({
      compare: [{ key: keys.drainGuard, modRevision: guardRevision }],
      operations: [
        { kind: "put", key, value: encode(drainValue(order)) },
        { kind: "put", key: keys.drainGuard, value: encode({ last: key }) },
        ...over.slice(0, removedMax).map(([each]): Operation => ({ kind: "delete", key: each })),
      ],
    });
  }
}

function readRows({ entries }: Listing): Rows {
  const orders = new Map<string, DrainOrder>();
  let guardRevision = 0;
  for (const { key, value, modRevision } of entries) {
    if (key === keys.drainGuard) guardRevision = modRevision;
    if (!key.startsWith(keys.drainPrefix)) continue;
    const order = readDrain(key, value);
    if (order.kind === "ok") orders.set(key, order.value);
  }
  return { orders, guardRevision };
}

function targetOf(what: DrainRequest["what"]): Result<DrainTarget, CallRefusal> {
  if (what.case !== undefined && nameForm.test(what.value)) {
    return ok({ kind: what.case, name: what.value });
  }
  return refuse(status.INVALID_ARGUMENT, "name a region or a backend");
}

function unreachable(error: StoreError): Result<never, CallRefusal> {
  return refuse(status.UNAVAILABLE, `the store is out of reach: ${error.message}`);
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
