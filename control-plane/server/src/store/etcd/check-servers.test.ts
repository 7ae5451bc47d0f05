import { expect, test } from "vitest";
import { judgeVersion } from "./check-servers.ts";

test.each([
  ["3.6.1", undefined],
  ["3.5.21", undefined],
  ["3.5.0", undefined],
  ["3.4.23", "use a current 3.5 or 3.6 in production"],
  ["3.4.11", "use a current 3.5 or 3.6 in production"],
  ["3.4.9", "not supported; upgrade it"],
  ["3.3.27", "not supported; upgrade it"],
  ["2.3.8", "not supported; upgrade it"],
  ["", "not understood"],
  ["weekly", "not understood"],
])("version %j is judged: %s", (version, said) => {
  const judged = judgeVersion(version);
  if (said === undefined) expect(judged).toBeUndefined();
  else expect(judged).toContain(said);
});
