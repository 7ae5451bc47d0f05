// The load generator of the proxy bench, a process of its own: closed loops over raw sockets, every answer checked.
// Started by the bench, ends with it.

import { seededRandom } from "@meridian/proto/base";
import { quantile } from "../report/quantile.ts";
import { type HeldStreams, holdStreams } from "./held-streams.ts";
import { LoadConnection, Script } from "./load-connection.ts";
import type { FromLoad, LoadResult, LoadRun, Quantiles, ToLoad } from "./messages.ts";

const failuresMax = 5;
/** Requests of one connection in one run; its numbers are its own. */
const numbersPerConnection = 1_000_000;

let held: HeldStreams | undefined;
let runs = 0;

process.on("disconnect", () => process.exit(0));
// The bench of this package sends it.
process.on("message", async (message: ToLoad) => {
  switch (message.kind) {
    case "run":
      tell(await run(message));
      return;
    case "hold":
      held = await holdStreams(message);
      tell({ kind: "holding", failures: held.failures });
      return;
    default: {
      const failures = (await held?.ended()) ?? ["no streams are held"];
      tell({ kind: "ended", failures });
    }
  }
});

async function run(asked: LoadRun): Promise<LoadResult> {
  runs += 1;
  const script = new Script(asked.target, asked.body);
  const random = seededRandom(`load ${runs}`);
  const latencies: number[] = [];
  const firstTokens: number[] = [];
  const failures: string[] = [];
  let answers = 0;
  let inTime = 0;
  const startedAt = performance.now();
  const endsAt = startedAt + asked.durationMs;
  const cpuBefore = process.cpuUsage();

  function drive(number: number): Promise<void> {
    return new Promise((resolve) => {
      const connection = new LoadConnection(script, number * numbersPerConnection, {
        onFirstToken: (ms) => firstTokens.push(ms),
        onAnswer: (ms, failure) => {
          answers += 1;
          const isLate = performance.now() >= endsAt;
          if (failure !== undefined && failures.length < failuresMax) failures.push(failure);
          if (!isLate) {
            inTime += 1;
            latencies.push(ms);
          }
          if (isLate || failure !== undefined) {
            connection.close();
            resolve();
          } else if (asked.pauseMsMax === 0) connection.ask();
          else setTimeout(() => connection.ask(), random.next() * asked.pauseMsMax);
        },
      });
      connection.ask();
    });
  }
  await Promise.all(Array.from({ length: asked.connections }, (_, index) => drive(index)));
  const used = process.cpuUsage(cpuBefore);
  const tookMs = performance.now() - startedAt;
  return {
    kind: "result",
    answers,
    perSecond: inTime / (asked.durationMs / 1_000),
    latencyMs: quantiles(latencies),
    firstTokenMs: quantiles(firstTokens),
    ownBusy: (used.user + used.system) / 1_000 / tookMs,
    failures,
  };
}

function quantiles(values: readonly number[]): Quantiles {
  return { p50: quantile(values, 0.5), p99: quantile(values, 0.99) };
}

function tell(message: FromLoad): void {
  process.send?.(message);
}
