// Turns a generated service description into what a gRPC library wants: paths and serialisers.
// It imports no gRPC library: shells pass the shapes on.

import type { DescMessage, DescMethod, DescService, MessageShape } from "@bufbuild/protobuf";
import { fromBinary, toBinary } from "@bufbuild/protobuf";

/** One method in the form of @grpc/grpc-js's MethodDefinition. B is its Buffer. */
export type MethodDefinition<B extends Uint8Array> = {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: never) => B;
  readonly requestDeserialize: (bytes: B) => unknown;
  readonly responseSerialize: (value: never) => B;
  readonly responseDeserialize: (bytes: B) => unknown;
  readonly originalName: string;
};

/** Makes a library's Buffer out of encoded bytes without copying, where it can. */
export type ToBuffer<B extends Uint8Array> = (bytes: Uint8Array) => B;

/**
 * Every method of a service, by its local name (`policy`, `getVersion`).
 * A value that is a Uint8Array already goes out as it is: encode once, send to many.
 */
export function serviceDefinition<B extends Uint8Array>(
  service: DescService,
  toBuffer: ToBuffer<B>,
): { readonly [name: string]: MethodDefinition<B> } {
  const methods: { [name: string]: MethodDefinition<B> } = {};
  for (const method of service.methods)
    methods[method.localName] = methodDefinition(method, toBuffer);
  return methods;
}

export function methodDefinition<B extends Uint8Array>(
  method: DescMethod,
  toBuffer: ToBuffer<B>,
): MethodDefinition<B> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream:
      method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream:
      method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: (value) => toBuffer(encode(method.input, value)),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (value) => toBuffer(encode(method.output, value)),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
    originalName: method.localName,
  };
}

function encode<D extends DescMessage>(schema: D, value: MessageShape<D> | Uint8Array): Uint8Array {
  return value instanceof Uint8Array ? value : toBinary(schema, value);
}
