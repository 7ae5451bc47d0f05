import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { initPki, issuePki } from "./init.ts";

let folder: string;
const now = new Date("2026-03-01T00:00:00Z");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meridian-pki-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const init = (regions: readonly string[], hosts: readonly string[] = [], at = now) =>
  initPki({ out: folder, regions, hosts, now: at });

function certificate(name: string): X509Certificate {
  return new X509Certificate(readFileSync(join(folder, name, "cert.pem")));
}

test("every part gets a certificate that says its role and region, signed by the authority", async () => {
  await init(["eu-west", "us-east"]);
  const authority = new X509Certificate(readFileSync(join(folder, "ca", "ca.pem")));
  for (const [name, uri] of [
    ["control-eu-west", "spiffe://meridian/control/eu-west"],
    ["proxy-us-east", "spiffe://meridian/proxy/us-east"],
    ["operator", "spiffe://meridian/operator/operator"],
  ] as const) {
    expect(certificate(name).subjectAltName).toBe(
      `DNS:localhost, IP Address:127.0.0.1, URI:${uri}`,
    );
    expect(certificate(name).verify(authority.publicKey)).toBe(true);
    expect(certificate(name).ca).toBe(false);
  }
});

test("keys can be read by their owner alone, and nothing half made is left behind", async () => {
  await init(["eu-west"]);
  expect(statSync(join(folder, "ca", "ca-key.pem")).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, "proxy-eu-west", "key.pem")).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder).sort()).toEqual([
    "ca",
    "control-eu-west",
    "operator",
    "proxy-eu-west",
  ]);
});

test("a second init keeps what is there and adds what is new", async () => {
  await init(["eu-west"]);
  const before = readFileSync(join(folder, "proxy-eu-west", "cert.pem"), "utf8");
  const again = await init(["eu-west", "ap-south"]);
  expect(again.kind === "ok" && again.value.map((each) => each.did)).toEqual([
    "kept",
    "kept",
    "kept",
    "made",
    "made",
    "kept",
  ]);
  expect(readFileSync(join(folder, "proxy-eu-west", "cert.pem"), "utf8")).toBe(before);
});

test("two inits at once agree on one authority", async () => {
  await Promise.all([init(["eu-west"]), init(["eu-west"]), init(["us-east"])]);
  const authority = new X509Certificate(readFileSync(join(folder, "ca", "ca.pem")));
  for (const name of ["control-eu-west", "proxy-us-east", "operator"]) {
    expect(certificate(name).verify(authority.publicKey)).toBe(true);
  }
});

test("half an authority is refused, and never replaced", async () => {
  await init(["eu-west"]);
  rmSync(join(folder, "ca", "ca.pem"));
  const key = readFileSync(join(folder, "ca", "ca-key.pem"), "utf8");
  expect(await init(["eu-west"])).toMatchObject({ kind: "err", error: { code: 2 } });
  expect(readFileSync(join(folder, "ca", "ca-key.pem"), "utf8")).toBe(key);
});

test("a certificate is not issued over an authority", async () => {
  await init([]);
  const out = join(folder, "ca");
  const issued = await issuePki({
    authority: out,
    out,
    identity: { role: "proxy", region: "eu-west" },
    hosts: [],
    now,
  });
  expect(issued.kind).toBe("err");
});

test("a key that is not the authority's signs nothing", async () => {
  await init(["eu-west"]);
  const other = readFileSync(join(folder, "operator", "key.pem"));
  writeFileSync(join(folder, "ca", "ca-key.pem"), other);
  const refused = await init(["us-east"]);
  expect(refused.kind === "err" && refused.error.message).toContain("is not the key of");
});

test("a certificate that soon ends, or lacks a host, is made anew", async () => {
  await init(["eu-west"]);
  const first = certificate("proxy-eu-west").serialNumber;
  await init(["eu-west"], ["proxy.eu.example.com", "10.1.2.3"]);
  const second = certificate("proxy-eu-west");
  expect(second.serialNumber).not.toBe(first);
  expect(second.checkIP("10.1.2.3")).toBe("10.1.2.3");
  expect(second.checkHost("proxy.eu.example.com")).toBe("proxy.eu.example.com");
  await init(["eu-west"], [], new Date("2027-02-15T00:00:00Z"));
  expect(Date.parse(certificate("proxy-eu-west").validTo)).toBeGreaterThan(
    Date.parse("2028-02-14T00:00:00Z"),
  );
});

test.each([
  ["a region that would change the identity", "eu/west", []],
  ["a region in capitals", "EU", []],
  ["a host that smuggles another name", "eu-west", ["a, URI:spiffe://meridian/operator/x"]],
  ["a host that is none", "eu-west", ["-x"]],
])("%s is refused before anything is written", async (_, region, hosts) => {
  expect(await init([region], hosts)).toMatchObject({ kind: "err", error: { code: 2 } });
  expect(readdirSync(folder)).toEqual([]);
});
