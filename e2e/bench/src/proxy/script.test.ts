import { expect, test } from "vitest";
import { Script } from "./load-connection.ts";
import type { Target } from "./messages.ts";
import { parsePeer } from "./peers.ts";
import { nonceFrom, nonceOf, requestBody, streamedAnswer, wholeAnswer } from "./workload.ts";

const target: Target = { port: 1, path: "/", headers: {}, check: "exact" };
const nonce = nonceFrom(77);

function whole(withNonce: string): Buffer {
  const { bytes, nonceAt } = wholeAnswer();
  const answer = Buffer.from(bytes);
  answer.write(withNonce, nonceAt);
  return answer;
}

test("a request's nonce is found where it was written", () => {
  for (const kind of ["short", "stream", "large"] as const) {
    const { bytes, nonceAt } = requestBody(kind);
    bytes.write(nonce, nonceAt);
    expect(nonceOf(bytes)).toBe(nonce);
    expect(() => JSON.parse(bytes.toString())).not.toThrow();
  }
});

test.each([
  ["its own answer", 200, whole(nonce), true],
  ["another request's answer", 200, whole(nonceFrom(78)), false],
  ["a refusal", 503, whole(nonce), false],
  ["a part of its answer", 200, whole(nonce).subarray(0, -1), false],
])("a whole answer that is %s is judged", (_, status, body, isRight) => {
  expect(new Script(target, "short").judge(status, nonce, body) === undefined).toBe(isRight);
});

test.each(["exact", "content"] as const)("a stream is %s only with all its tokens", (check) => {
  const script = new Script({ ...target, check }, "stream");
  const answer = streamedAnswer(nonce);
  expect(script.judge(200, nonce, answer)).toBeUndefined();
  const text = answer.toString();
  const shorter = text.replace(/data: \{.*? token.*?\n\n/, "");
  for (const wrong of [shorter, text.slice(0, -8), text.replaceAll(nonce, nonceFrom(78))]) {
    expect(script.judge(200, nonce, Buffer.from(wrong))).toMatch(/^status 200/);
  }
});

test("a peer's file without a field is refused by the field's name", () => {
  const peer = { name: "P", entry: "p.js", args: [], environment: {}, readyPath: "/", path: "/" };
  const text = JSON.stringify({ ...peer, headers: { a: "b" } });
  expect(parsePeer("p.peer.json", text)).toMatchObject({ name: "P", headers: { a: "b" } });
  expect(() => parsePeer("p.peer.json", JSON.stringify(peer))).toThrow(/p\.peer\.json: headers/);
});
