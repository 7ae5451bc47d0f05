import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { openStore } from "./open-store.ts";

const options = { random: seededRandom("open"), warn: () => undefined };

test.each([
  "",
  "embedded",
  "embedded:",
  "etcd:",
  "etcd:127.0.0.1:2379",
  "etcd:http://127.0.0.1:1,",
  "etcd:ftp://127.0.0.1:1",
  "redis:http://127.0.0.1:1",
])("the specification %j is refused with the forms that are allowed", async (spec) => {
  const opened = await openStore(spec, options);
  expect(opened).toMatchObject({ kind: "err", error: { code: "store_unknown" } });
  if (opened.kind === "err") expect(opened.error.hint).toContain("embedded:FOLDER");
});

test("an etcd that is not there is opened, and every use of it is unavailable", async () => {
  // Port 1 on loopback: nobody listens there.
  const opened = await openStore("etcd:http://127.0.0.1:1,http://127.0.0.1:1", options);
  if (opened.kind === "err") throw new Error(opened.error.message);
  const store = opened.value;
  const unavailable = { kind: "err", error: { kind: "unavailable" } };
  expect(await store.list("/")).toMatchObject(unavailable);
  const operations = [{ kind: "delete", key: "/a" }] as const;
  expect(await store.commit({ compare: [], operations })).toMatchObject(unavailable);
  await store.close();
});
