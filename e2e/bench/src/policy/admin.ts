// Applies policies as an operator does, over one connection, without the command line's start each time.

import { create } from "@bufbuild/protobuf";
import { Client, Metadata } from "@grpc/grpc-js";
import { AdminService, ApplyRequestSchema, type ApplyResponse } from "@meridian/proto/gen/admin_pb";
import { methodDefinition } from "@meridian/proto/grpc";
import { formatVersion } from "@meridian/proto/snapshot";
import { clientCredentials, loopbackChannel, toBuffer } from "./grpc.ts";

export type Admin = {
  /** Puts a policy in force; resolves with its version (`1.42`) once it is committed. Rejects when it is refused. */
  readonly apply: (policy: unknown) => Promise<string>;
  readonly close: () => void;
};

const applyTimeoutMs = 30_000;

export function openAdmin(address: string, tlsDir: string): Admin {
  const client = new Client(address, clientCredentials(tlsDir), loopbackChannel);
  const method = methodDefinition(AdminService.method.apply, toBuffer);

  function call(document: Uint8Array): Promise<ApplyResponse> {
    const request = create(ApplyRequestSchema, { document, reason: "bench" });
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        // The method's own answer.
        (bytes) => method.responseDeserialize(bytes) as ApplyResponse,
        // methodDefinition's serialisers take what their method takes.
        request as never,
        new Metadata(),
        { deadline: Date.now() + applyTimeoutMs },
        (error, answer) => {
          if (error !== null) reject(error);
          else if (answer === undefined) reject(new Error("an apply without an answer"));
          else resolve(answer);
        },
      );
    });
  }
  return {
    apply: async (policy) => {
      const answer = await call(new TextEncoder().encode(JSON.stringify(policy)));
      if (answer.version === undefined || answer.unchanged) {
        const problems = answer.problems.map((each) => `${each.path}: ${each.message}`).join("; ");
        throw new Error(`the policy was not taken: ${problems || "it changes nothing"}`);
      }
      return formatVersion(answer.version);
    },
    close: () => client.close(),
  };
}
