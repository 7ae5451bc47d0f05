// One simulated backend: its program, and the switches by which it is made to fail.

import type { Program } from "@meridian/harness";

/** As the simulator's POST /faults takes it. */
export type FaultRule = {
  readonly kind: string;
  readonly [field: string]: unknown;
};

export class Simulator {
  readonly program: Program;
  readonly url: string;

  constructor(program: Program, url: string) {
    this.program = program;
    this.url = url;
  }

  /** Switches a fault on. Throws when the simulator does not take it. */
  async fail(rule: FaultRule): Promise<void> {
    await this.#ask("/faults", "POST", rule);
  }

  /** Takes all its faults back. */
  async heal(): Promise<void> {
    await this.#ask("/faults", "DELETE");
  }

  /** What it says to a prompt. */
  async answerTo(model: string, prompt: string, tokensMax: number): Promise<string> {
    const messages = [{ role: "user", content: prompt }];
    const body = { model, max_tokens: tokensMax, messages };
    const text = await this.#ask("/v1/chat/completions", "POST", body);
    const answer: { readonly choices?: readonly { readonly message?: { content?: string } }[] } =
      JSON.parse(text);
    const content = answer.choices?.[0]?.message?.content ?? "";
    if (content === "") throw new Error(`${this.program.name} said nothing: ${text}`);
    return content;
  }

  async #ask(path: string, method: string, body?: unknown): Promise<string> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${this.program.name} refused: ${text}`);
    return text;
  }
}
