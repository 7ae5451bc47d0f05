// Thousands of live streams at once, opened a few at a time and held until the upstream ends them.

import { LoadConnection, Script } from "./load-connection.ts";
import type { HoldStreams } from "./messages.ts";

export type HeldStreams = {
  /** What went wrong so far. */
  readonly failures: readonly string[];
  /** Resolves with what went wrong when every stream has ended. */
  readonly ended: () => Promise<readonly string[]>;
};

/** Streams that wait for their first token at the same time while all are opened. */
const openingMax = 64;

/** Resolves when every stream has its first token. */
export async function holdStreams({ streams, target }: HoldStreams): Promise<HeldStreams> {
  const script = new Script(target, "stream", true);
  const failures: string[] = [];
  const ends: Promise<void>[] = [];
  let opened = 0;

  function open(number: number): Promise<void> {
    return new Promise((begun) => {
      const ended = new Promise<void>((resolve) => {
        const connection = new LoadConnection(script, number, {
          onFirstToken: () => begun(),
          onAnswer: (_, failure) => {
            if (failure !== undefined) failures.push(failure);
            connection.close();
            begun();
            resolve();
          },
        });
        connection.ask();
      });
      ends.push(ended);
    });
  }
  async function openNext(): Promise<void> {
    while (opened < streams) {
      opened += 1;
      await open(opened);
    }
  }
  await Promise.all(Array.from({ length: openingMax }, openNext));
  return {
    failures,
    ended: async () => {
      await Promise.all(ends);
      return failures;
    },
  };
}
