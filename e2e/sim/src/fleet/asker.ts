// Whoever asked a proxy: a client, or another region's proxy. What it hears of its request.

import type { UpstreamFailure } from "@meridian/data-core/attempt";
import type { ClientReading } from "./spoken-answer.ts";

/** Where an answer comes from, told with its first token. */
export type Served = {
  readonly backend: string;
  readonly region: string;
  readonly hitTokens: number;
  /** Of the prompt's tokens; the proxy that the client asked is in another region. */
  readonly isRemote: boolean;
};

export type AskerEnding =
  /** `isTrue`: the model server did end it; only checkers look at that. */
  | {
      readonly kind: "complete";
      readonly isTrue: boolean;
      readonly outputTokens: number;
      /** What a client makes of the very bytes, where they are modelled. */
      readonly reading: ClientReading | undefined;
    }
  /** Nothing was sent but this error. */
  | {
      readonly kind: "refused";
      readonly status: number;
      readonly code: string;
      readonly retryAfterMs: number | undefined;
    }
  /** An error frame, then the end. */
  | {
      readonly kind: "broken";
      readonly failure: UpstreamFailure;
      readonly outputTokens: number;
      readonly reading: ClientReading | undefined;
    };

export type Asker = {
  readonly firstToken: (served: Served) => void;
  readonly end: (ending: AskerEnding) => void;
};
