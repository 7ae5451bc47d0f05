// Asks the admin service as an operator does, over one connection, without the command line's start each time.

import { create, type DescMethod, type MessageShape } from "@bufbuild/protobuf";
import { Client, Metadata } from "@grpc/grpc-js";
import {
  AdminService,
  ApplyRequestSchema,
  type BackendHealthReport,
  ExplainBackendRequestSchema,
} from "@meridian/proto/gen/admin_pb";
import { methodDefinition } from "@meridian/proto/grpc";
import { formatVersion } from "@meridian/proto/snapshot";
import { clientCredentials, loopbackChannel, toBuffer } from "./grpc.ts";

export type Admin = {
  /** Puts a policy in force; resolves with its version (`1.42`) once it is committed. Rejects when it is refused. */
  readonly apply: (policy: unknown) => Promise<string>;
  /** What is known of the health of one backend; undefined: nothing. */
  readonly explainBackend: (name: string) => Promise<BackendHealthReport | undefined>;
  readonly close: () => void;
};

const timeoutMs = 30_000;

export function openAdmin(address: string, tlsDir: string): Admin {
  const client = new Client(address, clientCredentials(tlsDir), loopbackChannel);

  function call<Method extends DescMethod>(
    asked: Method,
    request: MessageShape<Method["input"]>,
  ): Promise<MessageShape<Method["output"]>> {
    const method = methodDefinition(asked, toBuffer);
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        // The method's own answer.
        (bytes) => method.responseDeserialize(bytes) as MessageShape<Method["output"]>,
        // methodDefinition's serialisers take what their method takes.
        request as never,
        new Metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, answer) => {
          if (error !== null) reject(error);
          else if (answer === undefined) reject(new Error(`${asked.name} without an answer`));
          else resolve(answer);
        },
      );
    });
  }
  return {
    apply: async (policy) => {
      const document = new TextEncoder().encode(JSON.stringify(policy));
      const request = create(ApplyRequestSchema, { document, reason: "bench" });
      const answer = await call(AdminService.method.apply, request);
      if (answer.version === undefined || answer.unchanged) {
        const problems = answer.problems.map((each) => `${each.path}: ${each.message}`).join("; ");
        throw new Error(`the policy was not taken: ${problems || "it changes nothing"}`);
      }
      return formatVersion(answer.version);
    },
    explainBackend: async (name) => {
      const request = create(ExplainBackendRequestSchema, { name });
      return (await call(AdminService.method.explainBackend, request)).report;
    },
    close: () => client.close(),
  };
}
