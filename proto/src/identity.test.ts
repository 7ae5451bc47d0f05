import fc from "fast-check";
import { expect, test } from "vitest";
import { identityUri, parseIdentityUri, parseSubjectAltName } from "./identity.ts";

test("what is written is read back", () => {
  expect(parseIdentityUri(identityUri({ role: "proxy", region: "eu-west" }))).toEqual({
    role: "proxy",
    region: "eu-west",
  });
  expect(parseIdentityUri(identityUri({ role: "operator", name: "jo" }))).toEqual({
    role: "operator",
    name: "jo",
  });
});

test.each([
  "",
  "spiffe://meridian/proxy",
  "spiffe://meridian/proxy/",
  "spiffe://meridian/admin/eu",
  "spiffe://meridian/proxy/EU",
  "spiffe://meridian/proxy/eu/us",
  "spiffe://other/proxy/eu",
  " spiffe://meridian/proxy/eu",
])("%j is nobody", (uri) => {
  expect(parseIdentityUri(uri)).toBeUndefined();
});

test("the identity is found among the other names of a certificate", () => {
  const names = "DNS:localhost, IP Address:127.0.0.1, URI:spiffe://meridian/control/us-east";
  expect(parseSubjectAltName(names)).toEqual({ role: "control", region: "us-east" });
});

test("no text of names at all makes somebody out of nothing", () => {
  expect(parseSubjectAltName(undefined)).toBeUndefined();
  fc.assert(
    fc.property(fc.string(), (names) => {
      fc.pre(!names.includes("spiffe://meridian/"));
      return parseSubjectAltName(names) === undefined;
    }),
  );
});

test("a name that merely contains an identity is not one", () => {
  expect(parseSubjectAltName("DNS:spiffe://meridian/operator/x")).toBeUndefined();
  expect(parseSubjectAltName("URI:https://x/spiffe://meridian/operator/x")).toBeUndefined();
});

test("a quoted name hides no identity, and two identities are none", () => {
  const hidden = 'URI:"https://x/, URI:spiffe://meridian/operator/evil, y"';
  expect(parseSubjectAltName(hidden)).toBeUndefined();
  expect(parseSubjectAltName(`DNS:localhost, ${hidden}`)).toBeUndefined();
  const two = "URI:spiffe://meridian/proxy/eu, URI:spiffe://meridian/operator/jo";
  expect(parseSubjectAltName(two)).toBeUndefined();
});
