// One line in the log for every write: who, what, from where, and how it ended.

import type { Role } from "@meridian/proto/identity";
import { describe } from "../grpc/caller.ts";
import type { CallContext } from "../grpc/unary.ts";

export type Audit = (
  action: "apply" | "drain" | "undrain",
  context: Pick<CallContext<Role>, "caller" | "peer">,
  what: { readonly [name: string]: unknown },
) => void;

export function createAudit(write: (line: object, message: string) => void): Audit {
  return (action, { caller, peer }, what) =>
    write({ audit: action, author: describe(caller), peer, ...what }, `audit: ${action}`);
}
