import fc from "fast-check";
import { expect, test } from "vitest";
import { chooseProbers, probersPerBackend } from "./index.ts";

const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { maxLength: 20 });

test("each backend has two probers, the same for everybody, one where there is one proxy", () => {
  fc.assert(
    fc.property(fc.string(), names, (backend, proxies) => {
      const chosen = chooseProbers(backend, proxies);
      expect(chosen.length).toBe(Math.min(probersPerBackend, proxies.length));
      const turned = [...proxies].reverse();
      expect(chooseProbers(backend, turned)).toEqual(chosen);
    }),
  );
});

test("a proxy that leaves changes its own backends' probers alone", () => {
  fc.assert(
    fc.property(fc.string(), names, fc.nat(), (backend, proxies, at) => {
      fc.pre(proxies.length > 2);
      const gone = proxies[at % proxies.length];
      const left = proxies.filter((each) => each !== gone);
      const after = chooseProbers(backend, left);
      for (const each of chooseProbers(backend, proxies)) {
        if (each !== gone) expect(after).toContain(each);
      }
    }),
  );
});

test("probers are spread: no proxy has much more than its share", () => {
  const proxies = Array.from({ length: 10 }, (_, each) => `proxy-eu-${each}`);
  const backends = Array.from({ length: 1_000 }, (_, each) => `eu-${each}`);
  for (const proxy of proxies) {
    const own = backends.filter((each) => chooseProbers(each, proxies).includes(proxy)).length;
    expect(own).toBeGreaterThan(140);
    expect(own).toBeLessThan(260);
  }
});
