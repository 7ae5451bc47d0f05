// A new proxy without a last-good file and without a control plane starts from what another proxy of its region holds.
// The answer is the other's last-good file, byte for byte: same checksum, same checks.

import { request } from "node:https";
import type { TLSSocket } from "node:tls";
import { type Address, fullJitterMs, type Random } from "@meridian/proto/base";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { parseSubjectAltName } from "@meridian/proto/identity";
import type { FastifyInstance } from "fastify";
import { expectRole, type TlsFiles } from "../tls.ts";
import { decodeLastGood, encodeLastGood } from "./last-good.ts";

export const snapshotPath = "/meridian/snapshot";

export type SiblingOptions = {
  readonly siblings: readonly Address[];
  readonly region: string;
  readonly tls: TlsFiles;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** true: a snapshot is in force already, from wherever. */
  readonly isServed: () => boolean;
  readonly take: (snapshot: Snapshot) => void;
  /** A sibling that was asked in vain. */
  readonly failed: (sibling: string, reason: string) => void;
};

/** How long a control plane may take before siblings are asked. */
const patienceMs = 500;
const answerMs = 2_000;
const bytesMax = 64 * 1_048_576;
const backoff = { baseMs: 1_000, capMs: 10_000 };

/** Asks one sibling after the other, round after round, until something is in force or the signal aborts. */
export async function seekSnapshot(options: SiblingOptions): Promise<void> {
  if (options.siblings.length === 0) return;
  await pause(patienceMs, options.signal);
  for (let round = 0; !options.isServed() && !options.signal.aborted; round++) {
    for (const sibling of options.siblings) {
      if (options.isServed() || options.signal.aborted) return;
      await askSibling(options, sibling);
    }
    if (!options.isServed()) {
      await pause(fullJitterMs(round, backoff, options.random), options.signal);
    }
  }
}

/** Lets the peer port hand out the snapshot in force, to proxies of the own region alone. */
export function serveSnapshot(
  peerApp: FastifyInstance,
  region: string,
  held: () => Snapshot | undefined,
): void {
  peerApp.get(snapshotPath, (asked, reply) => {
    // The peer port takes TLS connections only.
    const { subjectaltname } = (asked.raw.socket as TLSSocket).getPeerCertificate();
    const caller = parseSubjectAltName(subjectaltname);
    const snapshot = held();
    if (caller?.role !== "proxy" || caller.region !== region) {
      return reply.code(403).send({ error: `only proxies of ${region} may ask` });
    }
    if (snapshot === undefined) return reply.code(503).send({ error: "no snapshot yet" });
    return reply.type("application/octet-stream").send(encodeLastGood(snapshot));
  });
}

async function askSibling(options: SiblingOptions, sibling: Address): Promise<void> {
  const name = `${sibling.host}:${sibling.port}`;
  try {
    const bytes = await fetchSnapshot(options, sibling);
    const decoded = decodeLastGood(bytes, options.region, name);
    if (decoded.kind === "err") options.failed(name, decoded.error.message);
    else options.take(decoded.value);
  } catch (cause) {
    options.failed(name, String(cause));
  }
}

function fetchSnapshot(options: SiblingOptions, sibling: Address): Promise<Buffer> {
  const { signal, tls, region } = options;
  return new Promise((resolve, reject) => {
    const asked = request({
      ...tls,
      host: sibling.host,
      port: sibling.port,
      path: snapshotPath,
      agent: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
      checkServerIdentity: expectRole("proxy", region),
    });
    asked.on("error", reject);
    asked.on("response", (response) => {
      const parts: Buffer[] = [];
      let length = 0;
      response.on("error", reject);
      response.on("data", (part: Buffer) => {
        length += part.length;
        if (length > bytesMax) asked.destroy(new Error("the answer is larger than a snapshot"));
        else parts.push(part);
      });
      response.on("end", () => {
        if (response.statusCode === 200) resolve(Buffer.concat(parts));
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
    asked.end();
  });
}

/** Resolves after a time, or at once when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
