// The bar: the least that a grpc-js server can do to hand the same bytes to the same streams. Bytes in, bytes out,
// no decoding, no bookkeeping. Started by the policy bench, ends with it.

import { Server as GrpcServer, type Server, type ServerDuplexStream } from "@grpc/grpc-js";
import { SyncService } from "@meridian/proto/gen/sync_pb";
import { methodDefinition } from "@meridian/proto/grpc";
import type { FromBareServer, ToBareServer } from "./fan-out-messages.ts";
import { serverCredentials, toBuffer } from "./grpc.ts";

type Stream = ServerDuplexStream<Buffer, Buffer>;

const streams = new Set<Stream>();
const asIs = (bytes: Buffer) => bytes;
const policy = {
  ...methodDefinition(SyncService.method.policy, toBuffer),
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
};

process.on("disconnect", () => process.exit(0));
// The bench of this package sends it.
process.on("message", (message: ToBareServer) => {
  if (message.kind === "listen") void listen(message.tlsDir);
  else push(Buffer.from(message.pushBase64, "base64"));
});

async function listen(tlsDir: string): Promise<void> {
  const server: Server = new GrpcServer();
  server.addService(
    { policy },
    {
      policy: (stream: Stream) => {
        streams.add(stream);
        stream.on("data", () => undefined);
        stream.on("error", () => streams.delete(stream));
        stream.on("end", () => {
          streams.delete(stream);
          stream.end();
        });
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", serverCredentials(tlsDir), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const listening: FromBareServer = { kind: "listening", port };
  process.send?.(listening);
}

function push(bytes: Buffer): void {
  for (const stream of streams) stream.write(bytes);
}
