// What is measured: something that takes a client's request and hands it to the upstream.

import { Child } from "./child.ts";
import type { FromForwarder, Target } from "./messages.ts";

export type Subject = {
  readonly name: string;
  /** Of the program and, with it, of all that it starts. */
  readonly pid: number;
  readonly target: Target;
  readonly stop: () => Promise<void>;
};

export const requestPath = "/v1/chat/completions";

export async function startBareForwarder(upstreamPorts: readonly number[]): Promise<Subject> {
  const child = new Child<never, FromForwarder>("bare-forwarder.ts", upstreamPorts.map(String));
  const { port } = await child.next("listening");
  return {
    name: "bare forwarder",
    pid: child.pid,
    target: { port, path: requestPath, headers: {}, check: "exact" },
    stop: async () => child.stop(),
  };
}
