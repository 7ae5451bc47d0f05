// The uncut watcher: etcd's own JSON gateway over one direct connection. It shares no code with the watch under test,
// and never resumes: when its connection ends, the bench fails.

import type { StoreEvent } from "@meridian/control-server/store";
import { type Mark, mark } from "./comparison.ts";

export type ControlWatch = {
  readonly seen: readonly Mark[];
  /** The newest revision seen. */
  readonly revision: () => number;
  /** Why it ended before close(); undefined while it is well. */
  readonly failure: () => string | undefined;
  readonly close: () => void;
};

type GatewayEvent = {
  readonly type?: string;
  readonly kv: { readonly key: string; readonly mod_revision: string };
};
type GatewayMessage = {
  readonly result?: {
    readonly created?: boolean;
    readonly canceled?: boolean;
    readonly events?: readonly GatewayEvent[];
  };
};

/** Resolves when the server said that the watch exists. `onEvent` hears of each event as it arrives. */
export async function openControlWatch(
  url: string,
  prefix: string,
  onEvent: (key: string, modRevision: number) => void = () => undefined,
): Promise<ControlWatch> {
  const ending = new AbortController();
  const response = await fetch(`${url}/v3/watch`, {
    method: "POST",
    body: JSON.stringify({ create_request: { key: base64(prefix), range_end: rangeEnd(prefix) } }),
    signal: ending.signal,
  });
  if (response.body === null) throw new Error("etcd answered a watch without a body");
  const seen: Mark[] = [];
  let newest = 0;
  let failure: string | undefined;
  const created = Promise.withResolvers<void>();

  function take(line: string): void {
    // etcd's WatchResponse in ProtoJSON, wrapped by its gateway.
    const { result } = JSON.parse(line) as GatewayMessage;
    if (result?.created === true) created.resolve();
    if (result?.canceled === true) fail("cancelled");
    for (const event of result?.events ?? []) {
      const revision = Number(event.kv.mod_revision);
      const kind: StoreEvent["kind"] = event.type === "DELETE" ? "delete" : "put";
      const key = Buffer.from(event.kv.key, "base64").toString();
      seen.push(mark(revision, kind, key));
      newest = Math.max(newest, revision);
      onEvent(key, revision);
    }
  }
  function fail(reason: string): void {
    if (ending.signal.aborted) return;
    failure ??= `the uncut watch ended: ${reason}`;
    created.reject(new Error(failure));
  }
  eachLine(response.body, take).then(
    () => fail("closed by the server"),
    (cause: unknown) => fail(String(cause)),
  );
  await created.promise;
  return {
    seen,
    revision: () => newest,
    failure: () => failure,
    close: () => ending.abort(),
  };
}

async function eachLine(
  body: ReadableStream<Uint8Array>,
  take: (line: string) => void,
): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const part of body) {
    const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") take(line);
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** The first key after all keys with a prefix (etcd: RangeRequest.range_end). The last byte of ours is below 0xff. */
function rangeEnd(prefix: string): string {
  const end = Buffer.from(prefix);
  end.writeUInt8((end.at(-1) ?? 0) + 1, end.length - 1);
  return end.toString("base64");
}
