// A call with one answer: checks the caller, hands over, and turns what goes wrong into a status.

import {
  type handleUnaryCall,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { AssertionError, type Clock, type Instant, type Result } from "@meridian/proto/base";
import type { Role } from "@meridian/proto/identity";
import { type CallRefusal, type IdentityOf, identify } from "./caller.ts";

export type CallContext<R extends Role> = {
  readonly caller: IdentityOf<R>;
  /** Address of the caller. */
  readonly peer: string;
  /** When the caller will have given up; at most the server's own limit. */
  readonly deadline: Instant;
};

export type UnaryOptions = {
  readonly clock: Clock;
  readonly noteFailure: (path: string, cause: unknown) => void;
  readonly noteCall: (path: string, code: status, ms: number) => void;
};

/** No call may take longer, whatever its caller allows. */
const callMsMax = 30_000;

/** A handler for gRPC out of one that takes a checked caller and returns an answer or a refusal. */
export function unary<Request, Answer, R extends Role>(
  options: UnaryOptions,
  roles: readonly R[],
  handle: (request: Request, context: CallContext<R>) => Promise<Result<Answer, CallRefusal>>,
): handleUnaryCall<Request, Answer> {
  return (call, send) => void run(call, send);

  async function run(
    call: ServerUnaryCall<Request, Answer>,
    send: sendUnaryData<Answer>,
  ): Promise<void> {
    const startedAt = options.clock.now();
    const finish = (result: Result<Answer, CallRefusal>) => {
      const code = result.kind === "ok" ? status.OK : result.error.code;
      options.noteCall(call.getPath(), code, options.clock.now() - startedAt);
      if (result.kind === "ok") send(null, result.value);
      else send(result.error);
    };
    const caller = identify(call, roles);
    if (caller.kind === "err") {
      finish(caller);
      return;
    }
    const leftMs = Number(call.getDeadline()) - options.clock.wall();
    const deadline = startedAt + Math.min(callMsMax, leftMs);
    try {
      finish(await handle(call.request, { caller: caller.value, peer: call.getPeer(), deadline }));
    } catch (cause) {
      // What must not happen ends the process; anything else fails this call alone.
      if (cause instanceof AssertionError) throw cause;
      options.noteFailure(call.getPath(), cause);
      const details = "the control plane failed; its log says more";
      finish({ kind: "err", error: { code: status.INTERNAL, details } });
    }
  }
}
