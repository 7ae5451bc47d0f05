// What a protocol of clients and model servers is to the router. One folder per protocol implements it; the folders
// mirror each other and never import one another. To add one, start from the example at the end of this file.

import type { Problem, Result } from "@meridian/proto/base";
import type { ByteText } from "./byte-text.ts";
import type { Span } from "./json-splice.ts";

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
  /** Where the model's name stands in the body. */
  readonly modelSpans: readonly Span[];
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
  /** The client asked for usage: without it the stream is not complete. */
  readonly includeUsage: boolean;
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
  /** Events with content: about the tokens of the answer. */
  readonly contentEvents: number;
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

export type ClientProtocol = {
  readonly name: string;
  /** Every problem at once. */
  readonly decodeRequest: (
    kind: RequestKind,
    body: ByteText,
  ) => Result<DecodedRequest, readonly Problem[]>;
  /** The same body for another model: every other byte is kept. */
  readonly renameModel: (body: ByteText, request: DecodedRequest, model: string) => ByteText;
  readonly readAnswer: (body: ByteText, options: AnswerOptions) => AnswerReading;
  readonly openStream: (options: StreamOptions) => StreamTap;
  readonly readRefusal: (status: number, body: ByteText) => RefusalReading;
  readonly renderError: (error: ClientError) => RenderedError;
  /** The last thing on a stream that broke after the client got something. */
  readonly renderStreamError: (error: ClientError) => ByteText;
  readonly renderModels: (names: readonly string[]) => ByteText;
  readonly renderModel: (name: string) => ByteText;
};

/*
 * Worked example: a request and a broken stream in OpenAI's protocol.
 *
 *   const decoded = openai.decodeRequest("chat", '{"model":"default","stream":true,"seed":9007199254740993,"messages":[]}');
 *   // ok: { kind: "chat", model: "default", stream: true, modelSpans: [{ start: 9, end: 18 }], … }
 *   openai.renameModel(body, decoded.value, "meta-llama/Llama-3.3-70B-Instruct");
 *   // '{"model":"meta-llama/Llama-3.3-70B-Instruct","stream":true,"seed":9007199254740993,"messages":[]}'
 *
 *   const tap = openai.openStream({ kind: "chat", clientModel: "default", choices: 1, includeUsage: false });
 *   tap.push(': hello\n\ndata: {"model":"meta…","choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n');
 *   tap.semantic;   // false: nothing to read yet, another backend may still take over
 *   tap.push('data: {"model":"meta…","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\ndata: {"cho');
 *   // 'data: {"model":"default","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'; the cut event is held
 *   tap.semantic;   // true: commit
 *   tap.end();      // ""
 *   tap.fault;      // { kind: "truncated", … }: the client gets renderStreamError, then a cut connection
 */
