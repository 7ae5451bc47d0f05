// Texts as chains of blocks: shared beginnings get ids that are kept, everything else gets ids that nobody has.

import { fnv1a } from "@meridian/proto/base";
import { blockTokens, type Step } from "./work.ts";

/** Small integers are the fastest keys of a Map. */
const idBits = 0x3fff_ffff;

/** The ids of a run's texts. */
export class Texts {
  #next: number;

  /** `salt` keeps the ids of different runs apart in hash tables, as different days' prompts would be. */
  constructor(salt: string) {
    this.#next = fnv1a(salt) & idBits;
  }

  /** Ids that are nobody else's, as long as fewer than 2^30 are asked for. */
  fresh(count: number): readonly number[] {
    const ids: number[] = [];
    // A step by an odd constant walks through all 2^30 numbers and leaves none of their bits still.
    for (let at = 0; at < count; at++) {
      ids.push(this.#next);
      this.#next = (this.#next + 0x1e3779b1) & idBits;
    }
    return ids;
  }
}

export function blocksIn(tokens: number): number {
  return Math.floor(tokens / blockTokens);
}

/** A text, as far as it is said already. */
export type Text = { readonly blocks: readonly number[]; readonly tokens: number };

export const nothingSaid: Text = { blocks: [], tokens: 0 };

/** Goes on with a text. Only whole blocks of its beginning are shared. */
function longer(text: Text, added: number, texts: Texts): Text {
  const tokens = text.tokens + added;
  const kept = text.blocks.slice(0, blocksIn(text.tokens));
  return { tokens, blocks: [...kept, ...texts.fresh(blocksIn(tokens) - kept.length)] };
}

/** A request whose prompt goes on from a text, and whose answer goes on from the prompt. */
export function stepOf(
  { after, thinkMs }: Pick<Step, "after" | "thinkMs">,
  said: Text,
  lengths: { readonly added: number; readonly outputTokens: number; readonly texts: Texts },
): Step {
  const prompt = longer(said, lengths.added, lengths.texts);
  const whole = longer(prompt, lengths.outputTokens, lengths.texts);
  return {
    after,
    thinkMs,
    promptTokens: prompt.tokens,
    outputTokens: lengths.outputTokens,
    blocks: prompt.blocks,
    blocksAfter: whole.blocks,
  };
}

/** What is said once a step is answered. */
export function saidAfter(step: Step): Text {
  return { blocks: step.blocksAfter, tokens: step.promptTokens + step.outputTokens };
}

/** Of the product's prefix hash: 256 tokens in a block, the first 64 blocks. */
const prefix = { everyBlocks: 256 / blockTokens, blocksMax: 64 } as const;

/** The chain that the product takes from a prompt: an id stands for all before it, so every fourth one will do. */
export function prefixOf(blocks: readonly number[]): readonly number[] {
  const chain: number[] = [];
  const { everyBlocks, blocksMax } = prefix;
  for (
    let at = everyBlocks - 1;
    at < blocks.length && chain.length < blocksMax;
    at += everyBlocks
  ) {
    chain.push(blocks[at] ?? 0);
  }
  return chain;
}
