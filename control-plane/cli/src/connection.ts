// Calls to a control plane: which one, with which certificate, and when another one may be asked instead.

import { isIP } from "node:net";
import type {
  DescMessage,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { Client, connectivityState, Metadata, type ServiceError } from "@grpc/grpc-js";
import { err, ok, parseAddress, type Result } from "@meridian/proto/base";
import { methodDefinition } from "@meridian/proto/grpc";
import { explain, type Refusal, silence } from "./call-refusal.ts";
import { type OperatorCredentials, openCredentials } from "./credentials.ts";
import { exitCodes, type Failure } from "./outcome.ts";
import type { ConnectionOptions } from "./shared-flags.ts";

/** A server that takes no connection for so long is passed over. */
const connectMsMax = 5_000;

/** A policy of 4 MiB with all that belongs to it; the status of a large fleet. */
const answerBytesMax = 64 * 1024 * 1024;

/** Methods that change nothing: they may be asked of another control plane whatever became of the first one. */
const reading: ReadonlySet<string> = new Set([
  "Validate",
  "Get",
  "Status",
  "Explain",
  "GetVersion",
]);

/** Asks the control planes in turn. One that may have changed something already is the last one asked. */
export async function call<I extends DescMessage, O extends DescMessage>(
  options: ConnectionOptions,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
): Promise<Result<MessageShape<O>, Failure>> {
  const wrong = options.servers.find((each) => parseAddress(each) === undefined);
  if (wrong !== undefined || options.servers.length === 0) {
    const message = `"${wrong ?? ""}" is no server: host:port is needed, several with commas`;
    return err({ code: exitCodes.usage, message });
  }
  const credentials = openCredentials(options.tlsDir, Date.now());
  if (credentials.kind === "err") return credentials;
  const failures: Failure[] = [];
  for (const server of options.servers) {
    const target = { server, credentials: credentials.value, timeoutMs: options.timeoutMs };
    const answer = await callOne(target, method, request);
    if (answer.kind === "ok") return answer;
    const { failure, mayHaveActed, isFinal } = answer.error;
    failures.push(failure);
    if (isFinal || (mayHaveActed && !reading.has(method.name))) break;
  }
  return err(summarize(failures));
}

/** All that was met, under the code that says most. */
function summarize(failures: readonly Failure[]): Failure {
  const codes = failures.map((each) => each.code);
  const code = codes.find((each) => each !== exitCodes.unreachable) ?? exitCodes.unreachable;
  return { code, message: failures.map((each) => each.message).join("\nmeridian: ") };
}

type Target = {
  readonly server: string;
  readonly credentials: OperatorCredentials;
  readonly timeoutMs: number;
};

async function callOne<I extends DescMessage, O extends DescMessage>(
  { server, credentials, timeoutMs }: Target,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
): Promise<Result<MessageShape<O>, Refusal>> {
  const deadline = Date.now() + timeoutMs;
  const client = new Client(server, credentials.channel, {
    "grpc.max_receive_message_length": answerBytesMax,
    ...serverName(server),
  });
  try {
    const isSilent = !(await settles(client, Math.min(deadline, Date.now() + connectMsMax)));
    if (isSilent) return err(silence(server));
    const answer = await ask(client, { method, request, deadline });
    return answer.kind === "ok" ? answer : err(explain(server, answer.error, credentials.doubt));
  } finally {
    client.close();
  }
}

/**
 * Waits until there is a connection, or the reason why there is none; false: neither in time. A call that waited here
 * has not been sent, so that another server may be asked for certain.
 */
function settles(client: Client, deadline: number): Promise<boolean> {
  const channel = client.getChannel();
  return new Promise((resolve) => {
    const look = (cause?: Error) => {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY || state === connectivityState.TRANSIENT_FAILURE) {
        resolve(true);
      } else if (cause !== undefined) resolve(false);
      else channel.watchConnectivityState(state, deadline, look);
    };
    look();
  });
}

type Question<I extends DescMessage, O extends DescMessage> = {
  readonly method: DescMethodUnary<I, O>;
  readonly request: MessageInitShape<I>;
  readonly deadline: number;
};

function ask<I extends DescMessage, O extends DescMessage>(
  client: Client,
  { method, request, deadline }: Question<I, O>,
): Promise<Result<MessageShape<O>, ServiceError | undefined>> {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method, (bytes) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  );
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      // The serialisers take and give the method's own messages, which its definition can't say.
      requestSerialize as (value: MessageShape<I>) => Buffer,
      responseDeserialize as (bytes: Buffer) => MessageShape<O>,
      create(method.input, request),
      new Metadata(),
      { deadline },
      (error, value) => {
        if (error === null && value !== undefined) resolve(ok(value));
        else resolve(err(error ?? undefined));
      },
    );
  });
}

/** TLS has no server names for bare addresses; every certificate of ours is also localhost's. */
function serverName(server: string): { readonly [option: string]: string } {
  const host = parseAddress(server)?.host ?? "";
  return isIP(host) === 0 ? {} : { "grpc.ssl_target_name_override": "localhost" };
}
