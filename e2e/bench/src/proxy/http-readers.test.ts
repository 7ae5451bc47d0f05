import { expect, test } from "vitest";
import { AnswerReader } from "./answer-reader.ts";
import { RequestReader } from "./request-reader.ts";

const answers =
  "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole" +
  "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nin \r\n6\r\npieces\r\n0\r\n\r\n" +
  "HTTP/1.1 204 None\r\ncontent-length: 0\r\n\r\n";
const requests =
  "POST /a HTTP/1.1\r\ncontent-length: 4\r\n\r\nbodyGET /b HTTP/1.1\r\nhost: here\r\n\r\n";

test("answers are read the same however they are cut", () => {
  const expected = [
    [200, "whole"],
    [503, "in pieces"],
    [204, ""],
  ];
  for (let size = 1; size <= answers.length; size++) {
    expect(readAnswers(answers, size)).toEqual(expected);
  }
});

test("requests are read the same however they are cut", () => {
  for (let size = 1; size <= requests.length; size++) {
    const read: string[] = [];
    const reader = new RequestReader((head, body) => read.push(`${head.slice(0, 7)}|${body}`));
    for (const part of cut(requests, size)) reader.push(part);
    expect(read).toEqual(["POST /a|body", "GET /b |"]);
  }
});

test("what has neither length nor chunks is refused", () => {
  expect(() => readAnswers("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", 999)).toThrow(/length/);
  const reader = new RequestReader(() => undefined);
  const head = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
  expect(() => reader.push(Buffer.from(head))).toThrow(/length/);
});

function readAnswers(text: string, size: number): readonly (readonly [number, string])[] {
  const read: [number, string][] = [];
  let body = "";
  const reader = new AnswerReader({
    onBody: (part) => {
      body += part.toString();
    },
    onEnd: (status) => {
      read.push([status, body]);
      body = "";
    },
  });
  for (const part of cut(text, size)) reader.push(part);
  return read;
}

function cut(text: string, size: number): readonly Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < text.length; at += size) {
    parts.push(Buffer.from(text.slice(at, at + size)));
  }
  return parts;
}
