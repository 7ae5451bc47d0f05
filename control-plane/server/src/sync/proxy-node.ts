// Which proxy speaks on a stream: its certificate says the region, it says its own name.

import { status } from "@grpc/grpc-js";
import type { ProxyNode } from "@meridian/control-core/fleet";
import { ok, type Result } from "@meridian/proto/base";
import type { Node } from "@meridian/proto/gen/sync_pb";
import { type CallRefusal, refuse } from "../grpc/caller.ts";

const idForm = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const buildLengthMax = 64;

/** The node of a message, if it fits the certificate's region. */
export function nodeOf(node: Node | undefined, region: string): Result<ProxyNode, CallRefusal> {
  if (node === undefined || !idForm.test(node.id)) {
    const form = "letters, digits, . _ : -, at most 128";
    return refuse(status.INVALID_ARGUMENT, `a proxy must say its id: ${form}`);
  }
  if (node.region !== region) {
    const message = `a proxy of ${region} by its certificate says that it is of another region`;
    return refuse(status.PERMISSION_DENIED, message);
  }
  return ok({ id: node.id, region, build: node.build.slice(0, buildLengthMax) });
}

export const fleetFull: CallRefusal = {
  code: status.RESOURCE_EXHAUSTED,
  details: "this control plane serves as many proxies as it can; ask another one",
};
