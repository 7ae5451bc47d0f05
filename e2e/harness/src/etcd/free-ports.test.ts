import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freePorts } from "./free-ports.ts";

test("no port is given out twice, neither here nor to another process that looks meanwhile", async () => {
  const here = [...(await freePorts(60)), ...(await freePorts(60))];
  const program = `
    import { freePorts } from ${JSON.stringify(join(import.meta.dirname, "free-ports.ts"))};
    console.log(JSON.stringify(await freePorts(60)));
  `;
  const other = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    encoding: "utf8",
  });
  expect(other.stderr).toBe("");
  const all = [...here, ...JSON.parse(other.stdout)];
  expect(new Set(all).size).toBe(180);
});

test("callers at the same time get different ports", async () => {
  const all = (await Promise.all([1, 2, 3, 4].map(() => freePorts(40)))).flat();
  expect(new Set(all).size).toBe(160);
});
