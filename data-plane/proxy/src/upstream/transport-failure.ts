// What a failed transport means: nothing was sent, nothing came back, or the answer broke off.

import { type UpstreamFailure, upstreamFailure } from "@meridian/data-core/attempt";

/** How far a call had come. */
export type CallProgress = "unsent" | "sent" | "answering";

/** Messages name no host: clients may read them. The code is for the log and the decision record. */
export function transportFailure(progress: CallProgress, error: Error): UpstreamFailure {
  const code = errorCode(error);
  switch (progress) {
    case "unsent":
      return unsentFailure(code);
    case "sent":
      return upstreamFailure("no-answer", `the connection broke before an answer came (${code})`);
    case "answering":
      return upstreamFailure("reset", `the connection broke within the answer (${code})`);
  }
}

/** undici tells what a connection carried before it closed: one that was read from has served a request already. */
export function isStale(error: Error): boolean {
  if (!("code" in error) || error.code !== "UND_ERR_SOCKET" || !("socket" in error)) return false;
  const { socket } = error;
  if (typeof socket !== "object" || socket === null || !("bytesRead" in socket)) return false;
  return typeof socket.bytesRead === "number" && socket.bytesRead > 0;
}

/** getaddrinfo's and c-ares' words for a name that leads nowhere. */
const nameCodes: ReadonlySet<string> = new Set([
  "ENOTFOUND",
  "EAI_AGAIN",
  "EAI_FAIL",
  "EAI_NODATA",
  "EAI_NONAME",
  "ENODATA",
  "ESERVFAIL",
]);

/** OpenSSL's and Node's words for a handshake that failed, and for a certificate that is not accepted. */
const secureCode =
  /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO|HOSTNAME_MISMATCH)/;

function unsentFailure(code: string): UpstreamFailure {
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT") {
    return upstreamFailure("connect-timeout", "no connection in time");
  }
  if (nameCodes.has(code)) return upstreamFailure("dns", `its host's name leads nowhere (${code})`);
  if (secureCode.test(code)) return upstreamFailure("tls", `no secure connection (${code})`);
  return upstreamFailure("connect", `no connection (${code})`);
}

function errorCode(error: Error): string {
  const code = "code" in error ? error.code : undefined;
  return typeof code === "string" && /^[A-Z0-9_]{1,40}$/.test(code) ? code : "unknown";
}
