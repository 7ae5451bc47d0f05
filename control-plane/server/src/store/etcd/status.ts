// What a gRPC status of etcd means to the caller of the store.

import { type ServiceError, status } from "@grpc/grpc-js";
import type { StoreError } from "../store.ts";

/** The error of a call. `refused`: it surely had no effect, so that it may go to another member at once. */
export type CallError = {
  readonly error: StoreError;
  readonly refused: boolean;
};

/** How grpc-js says that it never had a connection to send the call on. */
const neverSent = "No connection established";

export function callError(failure: ServiceError, url: string): CallError {
  const text = failure.details === "" ? failure.message : failure.details;
  const message = `etcd at ${url}: ${text}`;
  const refused = failure.code === status.UNAVAILABLE && text.startsWith(neverSent);
  return { error: storeError(failure.code, text, message), refused };
}

function storeError(code: status, text: string, message: string): StoreError {
  switch (code) {
    case status.OUT_OF_RANGE:
      return text.includes("compacted")
        ? { kind: "compacted", oldest: 0, message }
        : { kind: "invalid", message };
    case status.NOT_FOUND:
      // The only thing that we name and that may be gone is a lease.
      return { kind: "conflict", message };
    case status.INVALID_ARGUMENT:
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
    case status.UNIMPLEMENTED:
      return { kind: "invalid", message };
    default:
      return { kind: "unavailable", message };
  }
}
