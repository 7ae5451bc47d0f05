// Between etcd's messages and the store's terms. Revisions are int64 on the wire and far below 2^53 in practice.

import { create } from "@bufbuild/protobuf";
import type { WatchResponse as WatchNews } from "@meridian/control-core/watch";
import type { Commit, Compare, Entry, LeaseId, Operation, StoreEvent } from "../store.ts";
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  CompareSchema,
  type Event,
  Event_EventType,
  type KeyValue,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  RangeRequestSchema,
  type RequestOp,
  RequestOpSchema,
  TxnRequestSchema,
  WatchRequestSchema,
  type WatchResponse,
} from "./gen/etcd_pb.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function keyBytes(key: string): Uint8Array {
  return encoder.encode(key);
}

/** The first key and the first key behind all keys with a prefix; for the empty prefix, everything. */
export function prefixRange(prefix: string): {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
} {
  if (prefix === "") return { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };
  const key = keyBytes(prefix);
  // Keys are printable ASCII (check-request.ts): the last byte can always be counted up.
  const rangeEnd = Uint8Array.from(key);
  rangeEnd[rangeEnd.length - 1] = (rangeEnd.at(-1) ?? 0) + 1;
  return { key, rangeEnd };
}

/** Asks for the newest write under a prefix, through a quorum. */
export function newestRequest(prefix: string) {
  return create(RangeRequestSchema, {
    ...prefixRange(prefix),
    limit: 1n,
    sortOrder: RangeRequest_SortOrder.DESCEND,
    sortTarget: RangeRequest_SortTarget.MOD,
    keysOnly: true,
  });
}

export function watchRequest(prefix: string, from: number) {
  const value = {
    ...prefixRange(prefix),
    startRevision: BigInt(from),
    progressNotify: true,
    fragment: true,
  };
  return create(WatchRequestSchema, { requestUnion: { case: "createRequest", value } });
}

export function txnRequest(commit: Commit) {
  return create(TxnRequestSchema, {
    compare: commit.compare.map(compareOf),
    success: commit.operations.map(operationOf),
  });
}

function compareOf(compare: Compare) {
  return create(CompareSchema, {
    key: keyBytes(compare.key),
    result: Compare_CompareResult.EQUAL,
    target: Compare_CompareTarget.MOD,
    targetUnion: { case: "modRevision", value: BigInt(compare.modRevision) },
  });
}

function operationOf(operation: Operation): RequestOp {
  const key = keyBytes(operation.key);
  if (operation.kind === "delete") {
    return create(RequestOpSchema, { request: { case: "requestDeleteRange", value: { key } } });
  }
  const lease = operation.lease === undefined ? 0n : leaseNumber(operation.lease);
  const value = { key, value: operation.value, lease };
  return create(RequestOpSchema, { request: { case: "requestPut", value } });
}

/** 0 for what is no lease of etcd's; 0 is refused before it is sent. */
export function leaseNumber(id: LeaseId): bigint {
  return /^-?\d{1,19}$/.test(id) ? BigInt(id) : 0n;
}

export function entryOf(kv: KeyValue): Entry {
  return {
    key: decoder.decode(kv.key),
    value: kv.value,
    createRevision: Number(kv.createRevision),
    modRevision: Number(kv.modRevision),
  };
}

export function newsOf(response: WatchResponse): WatchNews {
  return {
    revision: Number(response.header?.revision ?? 0n),
    created: response.created,
    canceled: response.canceled,
    cancelReason: response.cancelReason,
    compactRevision: Number(response.compactRevision),
    fragment: response.fragment,
    events: response.events.flatMap(eventOf),
  };
}

function eventOf(event: Event): readonly StoreEvent[] {
  const { kv } = event;
  if (kv === undefined) return [];
  if (event.type === Event_EventType.PUT) return [{ kind: "put", entry: entryOf(kv) }];
  return [{ kind: "delete", key: decoder.decode(kv.key), modRevision: Number(kv.modRevision) }];
}
