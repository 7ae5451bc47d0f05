// What a protocol of clients and model servers is to the router. One folder per protocol implements it; the folders
// mirror each other and never import one another. To add one, start from the example at the end of this file.

import type { Problem, Result } from "@meridian/proto/base";
import type { ByteText } from "./byte-text.ts";

export type RequestKind = "chat" | "completion" | "embedding";

/** What the router must know of a request; everything else is the backend's business. */
export type DecodedRequest = {
  readonly kind: RequestKind;
  /** In characters, not bytes. */
  readonly model: string;
  readonly stream: boolean;
  /** The client wants a last chunk with usage. */
  readonly includeUsage: boolean;
  /** Answers asked for. */
  readonly choices: number;
  readonly outputTokensMax: number | undefined;
  /** Characters / 4. */
  readonly inputTokens: number;
  /** The field stands in the body that asks for a stream's usage, whatever it says. */
  readonly namesUsage: boolean;
  /** A stream of plain text, one choice, no structure to keep: a part of its answer can be gone on from. */
  readonly continuable: boolean;
};

/** What a client has of an answer that broke off. */
export type PartialAnswer = {
  /** In characters, not bytes. */
  readonly text: string;
  /** Events with content that carried it: about its tokens. */
  readonly tokens: number;
};

/** How the body for an upstream differs from the client's. Usage is asked for in every stream. */
export type UpstreamBodyOptions = {
  /** undefined: as the client wrote it. */
  readonly model: string | undefined;
  /** The answer is to go on from here. The limit on output tokens shrinks by what it used. */
  readonly continues: PartialAnswer | undefined;
  /** The body ends with the assistant's words (`continues`, or another region's proxy put them there). */
  readonly assistantPrefix: "none" | "append" | "continue-final-message";
};

export type Usage = { readonly inputTokens: number; readonly outputTokens: number };

/** What is wrong with an upstream's answer, in the words of the attempt machine. */
export type AnswerFault = {
  readonly kind: "error-frame" | "malformed" | "empty" | "truncated";
  /** For the client: what the model server said, without hosts, paths or secrets. */
  readonly message: string;
};

/** A whole answer, read. */
export type AnswerReading =
  | { readonly kind: "answer"; readonly body: ByteText; readonly usage: Usage | undefined }
  | { readonly kind: "fault"; readonly fault: AnswerFault };

export type AnswerOptions = {
  readonly kind: RequestKind;
  /** The name that the client asked for and is to see. */
  readonly clientModel: string;
};

export type StreamOptions = AnswerOptions & {
  readonly choices: number;
  /** The client asked for usage: without it the stream is not complete. It is asked for anyway, and stripped else. */
  readonly includeUsage: boolean;
  /** Keep the text, so that another stream can go on from it. */
  readonly keepsText: boolean;
  /** The stream that broke, which this one goes on from: its id and time are kept, its role and text not said again. */
  readonly after: StreamTap | undefined;
  /** The request ends with the assistant's words, as another region wrote them: nothing more may be left to say. Default false. */
  readonly isRest?: boolean;
};

/** Follows one stream from an upstream. It passes on whole events alone: a cut inside one never reaches the client. */
export type StreamTap = {
  /** Takes the next bytes; returns what is to be sent on, which may be nothing. */
  readonly push: (chunk: ByteText) => ByteText;
  /** The upstream ended the body properly. Sets `fault` unless the stream was complete; returns what is still to be sent. */
  readonly end: () => ByteText;
  /** Something that a reader would see has come. Comments, pings and roles are not that. */
  readonly semantic: boolean;
  /** The stream ended as its protocol says it must. */
  readonly complete: boolean;
  readonly fault: AnswerFault | undefined;
  /** As the upstream told it. */
  readonly usage: Usage | undefined;
  /** Events with content: about the tokens of the answer, of what it goes on from, too. */
  readonly contentEvents: number;
  /**
   * What the client has by now, where an answer could go on from it; undefined: not kept, longer than is kept, or there
   * is more in it than text.
   */
  readonly partial: () => PartialAnswer | undefined;
  /** As `partial() !== undefined`, without the cost. */
  readonly continuable: boolean;
};

/** Why a request is refused, in classes that every protocol has words for. */
export type ErrorClass =
  | "invalid-request"
  | "unsupported-media"
  | "authentication"
  | "permission"
  | "not-found"
  | "method-not-allowed"
  | "model-not-found"
  | "too-large"
  | "rate-limited"
  | "internal"
  | "bad-upstream"
  | "overloaded"
  | "timeout";

/** A refusal as the router means it; the protocol says it in its own shape. */
export type ClientError = {
  readonly class: ErrorClass;
  /** All that is wrong; at least one. */
  readonly problems: readonly Problem[];
  readonly retryAfterMs: number | undefined;
};

export type RenderedError = {
  readonly status: number;
  readonly headers: { readonly [name: string]: string };
  readonly body: ByteText;
};

/** What an upstream's refusal (status 4xx) says about who is at fault. */
export type RefusalReading = "request" | "target";

/** What a canary asks. */
export type CanaryQuestion =
  | { readonly kind: "chat"; readonly prompt: string; readonly maxTokens: number }
  | { readonly kind: "embedding"; readonly input: string };

export type CanaryRequest = { readonly kind: "chat" | "embedding"; readonly body: ByteText };

/** An answer to a canary, read but not judged. */
export type CanaryReading = {
  /** undefined: the server does not say which model answered. */
  readonly model: string | undefined;
  readonly text: string;
  /** Empty where none came. */
  readonly vector: readonly number[];
};

export type ClientProtocol = {
  readonly name: string;
  /** Every problem at once. */
  readonly decodeRequest: (
    kind: RequestKind,
    body: ByteText,
  ) => Result<DecodedRequest, readonly Problem[]>;
  /**
   * Where the prompt begins in a body that decodeRequest took; undefined: there is none. It is asked for only where a
   * route chooses by the beginnings of prompts.
   */
  readonly findPrompt: (kind: RequestKind, body: ByteText) => number | undefined;
  /** The body for an upstream: every byte that need not change is kept; the very same text when none must. */
  readonly upstreamBody: (
    body: ByteText,
    request: DecodedRequest,
    options: UpstreamBodyOptions,
  ) => ByteText;
  /**
   * A whole answer as the stream that the client asked for: some servers answer so at once. The body has passed
   * `readAnswer`. Read it by a tap with the same options, as any other stream: it also knows what the client has already.
   */
  readonly streamOf: (body: ByteText, options: StreamOptions) => ByteText;
  /** Marks, for people and tools, where a stream went on from another backend. No client may stumble over it. */
  readonly renderSeam: (note: string) => ByteText;
  readonly readAnswer: (body: ByteText, options: AnswerOptions) => AnswerReading;
  readonly openStream: (options: StreamOptions) => StreamTap;
  readonly readRefusal: (status: number, body: ByteText) => RefusalReading;
  readonly renderError: (error: ClientError) => RenderedError;
  /** The last thing on a stream that broke after the client got something. */
  readonly renderStreamError: (error: ClientError) => ByteText;
  readonly renderCanary: (model: string, question: CanaryQuestion) => CanaryRequest;
  /** undefined: it is no answer at all. */
  readonly readCanary: (body: ByteText) => CanaryReading | undefined;
  readonly renderModels: (names: readonly string[]) => ByteText;
  readonly renderModel: (name: string) => ByteText;
};

/*
 * Worked example: a request and a broken stream in OpenAI's protocol.
 *
 *   const decoded = openai.decodeRequest("chat", '{"model":"default","stream":true,"seed":9007199254740993,"messages":[]}');
 *   // ok: { kind: "chat", model: "default", stream: true, … }
 *   openai.upstreamBody(body, decoded.value, {
 *     model: "meta-llama/Llama-3.3-70B-Instruct", continues: undefined, assistantPrefix: "none",
 *   });
 *   // '{"model":"meta-llama/Llama-3.3-70B-Instruct","stream":true,"seed":9007199254740993,"messages":[],
 *   //   "stream_options":{"include_usage":true}}'
 *
 *   const tap = openai.openStream({ kind: "chat", clientModel: "default", choices: 1, includeUsage: false, … });
 *   tap.push(': hello\n\ndata: {"model":"meta…","choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n');
 *   tap.semantic;   // false: nothing to read yet, another backend may still take over
 *   tap.push('data: {"model":"meta…","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\ndata: {"cho');
 *   // 'data: {"model":"default","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'; the cut event is held
 *   tap.semantic;   // true: commit
 *   tap.end();      // ""
 *   tap.fault;      // { kind: "truncated", … }: the client gets renderStreamError, then a cut connection
 */
