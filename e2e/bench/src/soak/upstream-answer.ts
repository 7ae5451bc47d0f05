// One answer of a scripted upstream in OpenAI's chat form, token by token, with the fault that the script wants.

import type { ServerResponse } from "node:http";
import {
  type CallRecord,
  type CallScript,
  type Script,
  textOf,
  tokensIn,
  tokenText,
} from "./script.ts";

export type AnswerEnd = Pick<CallRecord, "tokens" | "end" | "complaint">;

export type AnswerOptions = {
  readonly response: ServerResponse;
  readonly script: Script;
  readonly call: CallScript;
  readonly stream: boolean;
  readonly usageInStream: boolean;
  /** The assistant's words that this answer goes on from; empty: it is a new one. */
  readonly prefix: string;
  /** Called once. */
  readonly onEnd: (end: AnswerEnd) => void;
};

export class UpstreamAnswer {
  readonly #options: AnswerOptions;
  #next: number;
  #written = 0;
  #timer: NodeJS.Timeout | undefined;
  #end: AnswerEnd["end"] | undefined;
  #complaint: string | undefined;

  constructor(options: AnswerOptions) {
    this.#options = options;
    const from = tokensIn(options.script, options.prefix);
    if (from === undefined)
      this.#complaint = "the text before the continuation is not the answer's";
    this.#next = from ?? 0;
  }

  begin(): void {
    const { call, response, script, stream } = this.#options;
    response.on("close", () => this.#closed());
    const wholeMs = script.everyMs * script.tokens;
    const delayMs = stream ? call.firstMs : call.firstMs + wholeMs;
    this.#timer = setTimeout(() => (stream ? this.#stream() : this.#whole()), delayMs);
  }

  #stream(): void {
    const { call, response, script } = this.#options;
    if (call.fault?.atToken === this.#next && this.#spoil()) return;
    if (!response.headersSent) this.#head();
    if (this.#next >= script.tokens) {
      this.#finish();
      return;
    }
    const flows = response.write(this.#frame({ content: tokenText(script, this.#next) }, null));
    this.#next += 1;
    this.#written += 1;
    if (flows) this.#timer = setTimeout(() => this.#stream(), script.everyMs);
    else response.once("drain", () => this.#stream());
  }

  #head(): void {
    const { response } = this.#options;
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.write(this.#frame({ role: "assistant", content: "" }, null));
  }

  #finish(): void {
    const { response, usageInStream } = this.#options;
    const last = { ...this.#shared("chat.completion.chunk"), choices: [], usage: this.#usage() };
    const usage = usageInStream ? `data: ${JSON.stringify(last)}\n\n` : "";
    this.#end = "complete";
    response.end(`${this.#frame({}, "stop")}${usage}data: [DONE]\n\n`);
  }

  #whole(): void {
    const { call, response, script } = this.#options;
    if (call.fault !== undefined && this.#spoil()) return;
    const message = { role: "assistant", content: textOf(script, script.tokens), refusal: null };
    this.#written = script.tokens;
    this.#next = script.tokens;
    this.#end = "complete";
    response.writeHead(200, { "content-type": "application/json" });
    response.end(
      JSON.stringify({
        ...this.#shared("chat.completion"),
        choices: [{ index: 0, message, logprobs: null, finish_reason: "stop" }],
        usage: this.#usage(),
      }),
    );
  }

  /** true: this is the answer's end. */
  #spoil(): boolean {
    const { call, response, stream } = this.#options;
    const { fault } = call;
    if (fault === undefined) return false;
    if (fault.kind !== "stall") this.#end = "fault";
    switch (fault.kind) {
      case "status":
        response.writeHead(500, { "content-type": "application/json" });
        response.end('{"error":{"message":"scripted","type":"server_error"}}');
        return true;
      case "reset":
        response.socket?.resetAndDestroy();
        return true;
      case "stall":
        if (stream && !response.headersSent) this.#head();
        return true;
      case "end":
        if (!response.headersSent) this.#open();
        response.end(stream ? undefined : '{"id":"cut","choices":[{"ind');
        return true;
      case "malformed":
        if (!response.headersSent) this.#open();
        response.end(stream ? 'data: {"id":"broken","choices":[{"ind\n\ndata: [DONE]\n\n' : "{]");
        return true;
      case "error-frame":
        if (!response.headersSent) this.#open();
        response.end(`${stream ? "data: " : ""}{"error":{"message":"scripted","code":500}}\n\n`);
        return true;
    }
  }

  #open(): void {
    const { response, stream } = this.#options;
    if (stream) this.#head();
    else response.writeHead(200, { "content-type": "application/json" });
  }

  /** The response is over, or its connection is. */
  #closed(): void {
    clearTimeout(this.#timer);
    const isWhole = this.#end === "complete" && this.#options.response.writableFinished;
    const end = this.#end === "fault" ? "fault" : isWhole ? "complete" : "cancelled";
    this.#options.onEnd({ tokens: this.#written, end, complaint: this.#complaint });
  }

  #frame(delta: object, finish: "stop" | null): string {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason: finish }];
    return `data: ${JSON.stringify({ ...this.#shared("chat.completion.chunk"), choices })}\n\n`;
  }

  #shared(object: string) {
    return { id: `chatcmpl-${this.#options.script.id}`, object, created: 1, model: "upstream" };
  }

  #usage() {
    // What it goes on from is a part of the prompt.
    const promptTokens = this.#options.script.promptTokens + this.#next - this.#written;
    const completionTokens = this.#written;
    return {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    };
  }
}
