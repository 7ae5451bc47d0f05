// How a request came in.

import type { RequestKind } from "@meridian/data-core/engine";

export type Arrival = {
  readonly kind: RequestKind;
  /** The client's, when it gave one. */
  readonly requestId: string;
  /** Of this proxy's own making. */
  readonly decisionId: string;
  /** Region of the proxy that sent it on; undefined: a client. */
  readonly arrivedFrom: string | undefined;
  /** A label for metrics. */
  readonly path: string;
  /** Another region's proxy tries whether requests are answered here: no client has asked. */
  readonly isSynthetic: boolean;
};
