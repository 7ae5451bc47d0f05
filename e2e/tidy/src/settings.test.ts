// docs/config.md lists the settings that programs read, no more and no fewer.

import { expect, test } from "vitest";
import { read } from "./sources.ts";

test.each([
  ["The proxy", "data-plane/proxy/src/settings.ts"],
  ["The control plane", "control-plane/server/src/settings.ts"],
])("%s is documented setting by setting", (title, file) => {
  const section = read("docs/config.md").split(`## ${title}\n`)[1]?.split("\n## ")[0] ?? "";
  const documented = [...section.matchAll(/^\| `(MERIDIAN_[A-Z_]+)`/gm)].map((found) => found[1]);
  const known = [...read(file).matchAll(/^ {2}(MERIDIAN_[A-Z_]+): /gm)].map((found) => found[1]);
  expect(known.length).toBeGreaterThan(5);
  expect(documented).toEqual(known);
});
