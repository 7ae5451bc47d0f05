// A failed call in words that say what to do, with the code to exit with.

import { type ServiceError, status } from "@grpc/grpc-js";
import { exitCodes, type Failure } from "./outcome.ts";
import { oneLine } from "./printable.ts";

export type Refusal = {
  readonly failure: Failure;
  /** The request may have reached a control plane. */
  readonly mayHaveActed: boolean;
  /** Every control plane would say the same. */
  readonly isFinal: boolean;
};

/** The server took no connection. */
export function silence(server: string): Refusal {
  const message = `${server} does not answer; is a control plane running there? (--server, MERIDIAN_SERVER)`;
  return elsewhere({ code: exitCodes.unreachable, message });
}

/**
 * error: undefined where a call ended with neither an answer nor an error.
 * doubt: what is known against the caller's certificate; "" if nothing.
 */
export function explain(
  server: string,
  error: Pick<ServiceError, "code" | "details" | "message"> | undefined,
  doubt: string,
): Refusal {
  const said = oneLine(error?.details || error?.message || "no answer");
  switch (error?.code) {
    case status.UNAVAILABLE:
      return unavailable(server, said, doubt);
    case status.DEADLINE_EXCEEDED: {
      const message = `${server} did not answer in time (--timeout): ${said}`;
      return { ...elsewhere({ code: exitCodes.unreachable, message }), mayHaveActed: true };
    }
    case status.RESOURCE_EXHAUSTED: {
      const message = `${server} is too busy; nothing was changed: ${said}`;
      return elsewhere({ code: exitCodes.unreachable, message });
    }
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
      return final({ code: exitCodes.denied, message: `${server} refuses: ${said}` });
    case status.NOT_FOUND:
    case status.INVALID_ARGUMENT:
    case status.FAILED_PRECONDITION:
      return final({ code: exitCodes.refused, message: said });
    default: {
      const message = `${server} failed: ${said}`;
      return { ...elsewhere({ code: exitCodes.unreachable, message }), mayHaveActed: true };
    }
  }
}

/** grpc-js has one status for all that befalls a connection; only its words tell what it was. */
function unavailable(server: string, said: string, doubt: string): Refusal {
  const isUnconnected = /^(No connection established|Name resolution failed)/.test(said);
  const reason = reasonIn(said);
  if (/ECONNREFUSED|EHOSTUNREACH|ENETUNREACH/.test(reason) && isUnconnected) return silence(server);
  if (/wrong version number|packet length too long/.test(reason)) {
    const message = `${server} speaks no TLS; is that the port of a control plane's gRPC?`;
    return elsewhere({ code: exitCodes.unreachable, message });
  }
  if (doubt !== "") {
    return elsewhere({
      code: exitCodes.denied,
      message: `${server} ends the connection: ${doubt}`,
    });
  }
  if (/certificate|SSL|TLS|EPROTO/i.test(reason)) {
    const wayOut = "is it of another authority than the certificate in --tls-dir?";
    const message = `${server} is not trusted: ${reason}; ${wayOut}`;
    return elsewhere({ code: exitCodes.denied, message });
  }
  const message = isUnconnected
    ? `${server} can't be reached: ${reason}`
    : `${server} can't do it now: ${reason}`;
  return {
    ...elsewhere({ code: exitCodes.unreachable, message }),
    mayHaveActed: !isUnconnected,
  };
}

/** The reason in what grpc-js says of a connection, without the library's own frame. */
function reasonIn(said: string): string {
  return said
    .replace(/^No connection established\. Last error: (Error: )?/, "")
    .replace(/\.? Resolution note: $/, "")
    .replace(/ ?\(\d{4}-\d\d-\d\dT[\d:.]+Z\)/, "");
}

function elsewhere(failure: Failure): Refusal {
  return { failure, mayHaveActed: false, isFinal: false };
}

function final(failure: Failure): Refusal {
  return { failure, mayHaveActed: false, isFinal: true };
}
