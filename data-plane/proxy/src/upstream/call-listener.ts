// What a call is made for, and to whom it tells what comes back.

import type { UpstreamFailure } from "@meridian/data-core/attempt";
import type { Clock } from "@meridian/proto/base";
import type { ByteText, ClientProtocol, DecodedRequest, StreamTap } from "@meridian/wire";
import type { UpstreamCall } from "./upstream-call.ts";

/** What a call tells. Nothing comes after `onAnswer`, `onStreamEnd`, `onRejected`, `onFailed`, or after `cancel`. */
export type CallListener = {
  readonly onConnected: (call: UpstreamCall) => void;
  readonly onHeaders: (call: UpstreamCall) => void;
  /** Whole events of a stream, ready to be sent; `call.tap` knows what they mean. May be "" for signs of life. */
  readonly onStream: (call: UpstreamCall, text: ByteText) => void;
  /** The stream is complete; `text` is the last of it. */
  readonly onStreamEnd: (call: UpstreamCall, text: ByteText) => void;
  /** A part of an answer that is too large to be held; the first one is everything so far. */
  readonly onRaw: (call: UpstreamCall, chunk: Buffer) => void;
  readonly onRawEnd: (call: UpstreamCall) => void;
  /** A whole answer, checked; the model is the client's. */
  readonly onAnswer: (call: UpstreamCall, body: ByteText) => void;
  /** The upstream says that the request is at fault. */
  readonly onRejected: (call: UpstreamCall, body: Buffer) => void;
  readonly onFailed: (call: UpstreamCall, failure: UpstreamFailure) => void;
  /** The call needs no more attention: its connection is free or gone. */
  readonly onReleased: (call: UpstreamCall) => void;
};

export type CallContext = {
  readonly protocol: ClientProtocol;
  readonly request: DecodedRequest;
  readonly listener: CallListener;
  readonly clock: Clock;
  /** Keep the text, so that another call can go on from it. */
  readonly keepsText: boolean;
  /** The stream that broke, which this call goes on from. */
  readonly after: StreamTap | undefined;
  /** The request itself ends with a part of the answer. */
  readonly isRest: boolean;
};
