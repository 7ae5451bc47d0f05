// The door of the wire package.

export { asciiJson, type ByteText, decodeUtf8 } from "./byte-text.ts";
export { findTopLevel, type Span, splice } from "./json-splice.ts";
export { openai } from "./openai/index.ts";
export { hashPrefix } from "./prompt-prefix.ts";
export type {
  AnswerFault,
  AnswerOptions,
  AnswerReading,
  CanaryQuestion,
  CanaryReading,
  CanaryRequest,
  ClientError,
  ClientProtocol,
  DecodedRequest,
  ErrorClass,
  PartialAnswer,
  RefusalReading,
  RenderedError,
  RequestKind,
  StreamOptions,
  StreamTap,
  UpstreamBodyOptions,
  Usage,
} from "./protocol.ts";
export { type SseEvent, SseScanner, sseEventBytesMax } from "./sse.ts";
