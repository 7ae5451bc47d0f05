// What one backend of the spill bench can do, measured on the backend itself: as many requests at once as never leave it
// idle, and the tokens that it counts.

import { Agent } from "undici";
import { ask } from "../replay/ask.ts";
import { sumOf } from "../soak/books.ts";
import { pauseMs } from "../watch-cuts/settle.ts";
import { promptOf } from "./demand.ts";
import { type Arm, size, slots } from "./scene.ts";

/** Until its batch is in its stride. */
const warmUpMs = 2_000;

/** Requests a second. */
export async function measureBackend(url: string, arm: Arm, forMs: number): Promise<number> {
  const agent = new Agent({ connections: null });
  const state = { isOver: false, failures: 0 };
  const workers = Array.from({ length: 3 * slots }, (_, index) => work(state, index));

  async function work(until: typeof state, first: number): Promise<void> {
    for (let index = first; !until.isOver; index += 3 * slots) {
      const { outputTokens } = size;
      const question = { model: arm, prompt: promptOf(-index), outputTokens };
      const { kind } = await ask(agent, url, question, "none");
      if (kind !== "answered") until.failures += 1;
    }
  }

  await pauseMs(warmUpMs);
  const before = await doneTokens(url);
  const begunMs = performance.now();
  await pauseMs(forMs);
  const tokens = (await doneTokens(url)) - before;
  const seconds = (performance.now() - begunMs) / 1_000;
  state.isOver = true;
  await Promise.all(workers);
  await agent.close();
  if (state.failures > 0) throw new Error(`${url}: ${state.failures} requests failed`);
  return tokens / seconds / size.outputTokens;
}

async function doneTokens(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return sumOf(text, "vllm:generation_tokens_total");
}
