import { expect, test } from "vitest";
import { checkPeer, checkUrl } from "./check-url.ts";
import { createFindings } from "./findings.ts";

function codesOf(check: typeof checkUrl, text: string): readonly string[] {
  const findings = createFindings();
  check(text, { path: "url", findings });
  return findings.list().map((each) => each.code);
}

test.each([
  "http://127.0.0.1:8000",
  "http://localhost",
  "https://llm-1.us.internal/",
  "HTTP://Host_1.example.:65535",
  "http://10.0.0.1",
  "http://[::1]:11434",
  "https://[2001:db8::1]",
  "http://[::ffff:10.0.0.1]:80",
  "http://[64:ff9b::808:808]",
  "http://169.253.1.1",
  "http://xn--bcher-kva.example",
])("%s is taken", (url) => {
  expect(codesOf(checkUrl, url)).toEqual([]);
});

test.each([
  "",
  "llm-1:8000",
  "//llm-1",
  "ftp://llm-1",
  "file:///etc/passwd",
  "javascript:alert(1)",
  "http://",
  "http://:80",
  "http://a b",
  "http://a:",
  "http://a:0",
  "http://a:65536",
  "http://a:1/v1",
  "http://a?x=1",
  "http://a#x",
  "http://a\\b",
  "http://bücher.example",
  "http://%31%36%39.254.169.254",
  "http://-a.example",
  "http://a..b",
  `http://${"a.".repeat(200)}b`,
  "http://0.0.0.0",
  "http://[::]:80",
  "http://224.0.0.1",
  "http://255.255.255.255",
  "http://[ff02::1]",
  "http://[::1",
  "http://[1:2:3]",
  "http://[1::2::3]",
  "http://[fe80::1%25eth0]",
  // What resolvers read as numbers.
  "http://2852039166",
  "http://0xa9fea9fe",
  "http://169.254.43518",
  "http://0251.0376.0251.0376",
  "http://169.254.169.0xfe",
])("%s is refused", (url) => {
  expect(codesOf(checkUrl, url)).toEqual(["bad_url"]);
});

test.each([
  "http://169.254.169.254/",
  "http://169.254.0.1:80",
  "http://169.254.169.254.",
  "http://[::ffff:169.254.169.254]",
  "http://[::ffff:a9fe:a9fe]",
  "http://[64:ff9b::a9fe:a9fe]",
  "http://[2002:a9fe:a9fe::1]",
  "http://[fe80::1]",
  "http://[febf::1]:80",
  "http://[fd00:ec2::254]",
  "http://metadata.google.internal",
  "http://METADATA.google.internal.",
  "http://metadata",
  "http://100.100.100.200",
  "http://168.63.129.16",
])("%s is refused as a place that holds credentials", (url) => {
  expect(codesOf(checkUrl, url)).toEqual(["forbidden_host"]);
});

test("a login in a URL is refused and never repeated", () => {
  const findings = createFindings();
  checkUrl("https://user:hush@llm-1", { path: "url", findings });
  expect(findings.list().map((each) => each.code)).toEqual(["credentials_in_url"]);
  expect(JSON.stringify(findings.list())).not.toContain("hush");
});

test.each([
  ["proxy.eu:8443", []],
  ["[::1]:1", []],
  ["proxy.eu", ["bad_address"]],
  ["http://proxy.eu:1", ["bad_address"]],
  ["proxy.eu:0", ["bad_address"]],
  ["169.254.169.254:80", ["forbidden_host"]],
  ["[fe80::1]:80", ["forbidden_host"]],
])("the peer %s: %j", (peer, expected) => {
  expect(codesOf(checkPeer, peer)).toEqual(expected);
});
