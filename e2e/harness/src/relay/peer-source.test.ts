import fc from "fast-check";
import { expect, test } from "vitest";
import { headerBytesMax, openPeerSource } from "./peer-source.ts";

const probe = "GET /raft/probing HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n";
const stream =
  "GET /raft/stream/msgapp/8e9e05c5 HTTP/1.1\r\nHost: x\r\nX-Peerurls: http://127.0.0.1:4001,http://127.0.0.1:4002\r\nX-Server-From: 91bc\r\n\r\n";
const post =
  "POST /raft HTTP/1.1\r\nContent-Length: 4\r\nX-PeerURLs: http://127.0.0.1:4001\r\n\r\nbody";

test.each([
  ["a stream", stream, [4001, 4002]],
  ["a pipeline's post", post, [4001]],
  ["a stream on a connection that probed before", probe + probe + stream, [4001, 4002]],
  ["a post that names nobody", "POST /x HTTP/1.1\r\nContent-Length: 1\r\n\r\nb", []],
])("%s tells its sender, however it is split", (_name, text, ports) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sizes) => {
      const source = openPeerSource();
      const seen: number[] = [];
      const forwarded: Buffer[] = [];
      let isSettled = false;
      for (const piece of split(Buffer.from(text), sizes)) {
        if (isSettled) {
          forwarded.push(piece);
          continue;
        }
        const sighting = source.read(piece);
        seen.push(...sighting.ports);
        forwarded.push(sighting.forward);
        isSettled = sighting.settled;
      }
      expect(isSettled).toBe(true);
      expect(seen).toEqual(ports);
      expect(Buffer.concat(forwarded).toString()).toBe(text);
    }),
  );
});

test("a probe is passed on, and the look-out goes on", () => {
  const sighting = openPeerSource().read(Buffer.from(probe));
  expect(sighting).toEqual({ forward: Buffer.from(probe), ports: [], settled: false });
});

test("half a header is kept back until the rest tells whose it is", () => {
  const source = openPeerSource();
  expect(source.read(Buffer.from(stream.slice(0, 50))).forward.length).toBe(0);
  expect(source.read(Buffer.from(stream.slice(50))).forward.toString()).toBe(stream);
});

test("a header without end is given up at the bound", () => {
  const sighting = openPeerSource().read(Buffer.alloc(headerBytesMax + 1, "x"));
  expect(sighting.settled).toBe(true);
  expect(sighting.forward.length).toBe(headerBytesMax + 1);
});

function split(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length] ?? 1;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}
