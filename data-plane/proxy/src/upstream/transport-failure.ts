// What a failed transport means: nothing was sent, nothing came back, or the answer broke off.

import { type UpstreamFailure, upstreamFailure } from "@meridian/data-core/attempt";

/** How far a call had come. */
export type CallProgress = "unsent" | "sent" | "answering";

/** Messages name no host: clients may read them. The code is for the log and the decision record. */
export function transportFailure(progress: CallProgress, error: Error): UpstreamFailure {
  const code = errorCode(error);
  switch (progress) {
    case "unsent":
      return code === "UND_ERR_CONNECT_TIMEOUT"
        ? upstreamFailure("connect-timeout", "no connection in time")
        : upstreamFailure("connect", `no connection (${code})`);
    case "sent":
      return upstreamFailure("no-answer", `the connection broke before an answer came (${code})`);
    case "answering":
      return upstreamFailure("reset", `the connection broke within the answer (${code})`);
  }
}

function errorCode(error: Error): string {
  const code = "code" in error ? error.code : undefined;
  return typeof code === "string" && /^[A-Z0-9_]{1,40}$/.test(code) ? code : "unknown";
}
