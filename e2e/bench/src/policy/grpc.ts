// What both sides of the benches' gRPC need: a program's certificate folder as credentials, and buffers.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ChannelCredentials, credentials, ServerCredentials } from "@grpc/grpc-js";

/** A client that shows the folder's certificate. */
export function clientCredentials(tlsDir: string): ChannelCredentials {
  const { ca, key, cert } = readTls(tlsDir);
  return credentials.createSsl(ca, key, cert);
}

/** A server that asks for a certificate of the same authority. */
export function serverCredentials(tlsDir: string): ServerCredentials {
  const { ca, key, cert } = readTls(tlsDir);
  return ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: cert }], true);
}

function readTls(tlsDir: string) {
  const read = (name: string) => readFileSync(join(tlsDir, name));
  return { ca: read("ca.pem"), cert: read("cert.pem"), key: read("key.pem") };
}

/**
 * Options for a channel to a program on loopback. Node refuses an IP address as the TLS server name, and grpc-js offers
 * the target's host as one; every certificate of ours is valid for localhost.
 */
export const loopbackChannel = { "grpc.ssl_target_name_override": "localhost" } as const;

/** Encoded bytes as a Buffer, without copying. */
export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
