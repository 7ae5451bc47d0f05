// A request of the fault matrix, and what an application sees of its answer.

/** The raw iterator of a stream, its accumulator, its bytes as they come, or a whole answer. */
export type Reading = "iterator" | "accumulator" | "bytes" | "whole";

/** What an application is told. A stream that just ends is a success to it: nothing else tells it otherwise. */
export type Saw =
  | { readonly kind: "answer"; readonly text: string; readonly finish: string | undefined }
  | {
      readonly kind: "error";
      /** What came before. */
      readonly text: string;
      readonly status: number | undefined;
      readonly code: string | undefined;
      readonly message: string;
      readonly isApiError: boolean;
    };

export type Asked = {
  readonly saw: Saw;
  /** Of the reading "bytes" alone. */
  readonly bytes: BytesSeen | undefined;
  readonly headers: Headers;
  readonly tookMs: number;
};

export type Question = {
  readonly endpoint: string;
  readonly model: string;
  readonly prompt: string;
  readonly reading: Reading;
  /** Not in the official schema, and sent all the same. */
  readonly more?: object;
  /** The application leaves. */
  readonly signal?: AbortSignal;
  /** Hears each piece of text that the application gets. */
  readonly onText?: (text: string) => void;
};

export type BytesSeen = {
  /** Comment lines, without their colon. */
  readonly comments: readonly string[];
  /** Different ids of the stream's chunks; a proper stream has one. */
  readonly ids: readonly string[];
  /** Chunks that say who speaks; a proper stream has one. */
  readonly roles: number;
  /** Chunks that tell usage. */
  readonly usages: number;
};

export function bodyOf({ model, prompt, more }: Question) {
  return { model, messages: [{ role: "user" as const, content: prompt }], ...more };
}
