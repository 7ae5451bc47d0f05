// The body of a request for a stream. undici holds what it was given until the answer has ended: a large body goes as a
// stream of one piece, which is let go of as soon as it is written.

import { Readable } from "node:stream";

/** Below this the bytes cost less than the stream around them; at 100 KB that adds 20 µs to 120. */
const largeBytesMin = 65_536;

/** For one call. The headers must say the length: undici can't ask a stream for it. */
export function releasedBody(body: Buffer): Buffer | Readable {
  if (body.length < largeBytesMin) return body;
  let left: Buffer | null = body;
  const stream = new Readable({
    highWaterMark: 0,
    read() {
      const piece = left;
      left = null;
      this.push(piece);
    },
  });
  // A connection that breaks within the upload ends the stream, too. The call is told of it in its own way.
  stream.on("error", () => undefined);
  return stream;
}
