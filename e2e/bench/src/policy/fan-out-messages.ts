// What the fan-out bench says to its two programs, the load and the bare server, over their IPC channels.

/** To the load: open that many proxies' streams. Answered by `opened`. */
export type OpenStreams = {
  readonly kind: "open";
  readonly address: string;
  readonly tlsDir: string;
  readonly region: string;
  /** Names are `${name}-0` and so on. */
  readonly name: string;
  readonly streams: number;
  /** policy: the slow lane alone, which is what the bare server has. all: state and reports too, as a proxy does. */
  readonly lanes: "policy" | "all";
};

export type FromLoad =
  | { readonly kind: "opened" }
  /** All of the load's streams have acknowledged one and the same push. Times are of the machine's monotonic clock. */
  | {
      readonly kind: "acknowledged";
      readonly pushBase64: string;
      readonly firstReceivedMs: number;
      readonly lastAcknowledgedMs: number;
    }
  | { readonly kind: "broken"; readonly message: string };

/** To the bare server: listen, or send these bytes to every stream. Answered by `listening`, `connected`. */
export type ToBareServer =
  | { readonly kind: "listen"; readonly tlsDir: string }
  | { readonly kind: "push"; readonly pushBase64: string };

export type FromBareServer = { readonly kind: "listening"; readonly port: number };

/** Milliseconds of CLOCK_MONOTONIC, which all processes of a machine share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}
