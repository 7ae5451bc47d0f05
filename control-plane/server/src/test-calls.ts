// For tests: gRPC calls as a program with a certificate folder makes them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import { methodDefinition } from "@meridian/proto/grpc";

/** TLS has no server names for addresses; every certificate of ours has localhost. */
const options = { "grpc.ssl_target_name_override": "localhost" };

export function connect(address: string, tlsDir: string): Client {
  const file = (name: string) => readFileSync(join(tlsDir, name));
  const secure = credentials.createSsl(file("ca.pem"), file("key.pem"), file("cert.pem"));
  return new Client(address, secure, options);
}

/** Rejects with gRPC's ServiceError. */
export function callUnary<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: DescMethodUnary<I, O>,
  init: MessageInitShape<I>,
  deadlineMs = 20_000,
): Promise<MessageShape<O>> {
  const { path, requestSerialize, responseDeserialize } = definition(method);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      create(method.input, init),
      new Metadata(),
      { deadline: Date.now() + deadlineMs },
      // The method's own answer.
      (error, answer) => (error === null ? resolve(answer as MessageShape<O>) : reject(error)),
    );
  });
}

export function openServerStream<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: DescMethodServerStreaming<I, O>,
  init: MessageInitShape<I>,
): ClientReadableStream<MessageShape<O>> {
  const { path, requestSerialize, responseDeserialize } = definition(method);
  const request = create(method.input, init);
  return client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
}

export function openBidiStream<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: DescMethodBiDiStreaming<I, O>,
): ClientDuplexStream<MessageShape<I>, MessageShape<O>> {
  const { path, requestSerialize, responseDeserialize } = definition(method);
  return client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
}

function definition(method: DescMethod) {
  const found = methodDefinition(method, (bytes) => Buffer.from(bytes));
  // The serialisers take and give each method's own messages, which one type can't say.
  return found as typeof found & {
    requestSerialize: (value: unknown) => Buffer;
    // biome-ignore lint/suspicious/noExplicitAny: as above
    responseDeserialize: (bytes: Buffer) => any;
  };
}
