import { status } from "@grpc/grpc-js";
import { AdminService, Change_Kind } from "@meridian/proto/gen/admin_pb";
import { formatVersion } from "@meridian/proto/snapshot";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { callUnary } from "./test-calls.ts";
import { Rig, testPolicy, testRegions } from "./test-rig.ts";

const { method } = AdminService;
let rig: Rig;

beforeAll(async () => {
  rig = await Rig.start();
});
afterAll(async () => {
  await rig?.stop();
});

const get = (version?: { epoch: bigint; sequence: bigint }) =>
  callUnary(rig.operator, method.get, version === undefined ? {} : { version });

async function inForce(): Promise<string> {
  return formatVersion((await get()).version);
}

function parsed(document: Uint8Array) {
  return JSON.parse(new TextDecoder().decode(document));
}

test("before the first policy there is nothing to get, and all else answers", async () => {
  await expect(get()).rejects.toMatchObject({ code: status.NOT_FOUND });
  const state = await callUnary(rig.operator, method.status, {});
  expect(state.policy).toBeUndefined();
  expect(state.controlPlanes).toMatchObject([{ id: "control-eu-west", state: "serving" }]);
  const { node } = await callUnary(rig.operator, method.getVersion, {});
  expect(node).toMatchObject({ id: "control-eu-west", region: "eu-west", build: "0.1.0" });
});

test("an expected version refuses the first policy where none is in force", async () => {
  const refused = await rig.apply(testPolicy(), { expected: { epoch: 1n, sequence: 1n } });
  expect(refused.problems.filter((each) => !each.warning)).toMatchObject([{ code: "conflict" }]);
  await expect(get()).rejects.toMatchObject({ code: status.NOT_FOUND });
});

test("an apply makes the first version, with author and reason, and says what was added", async () => {
  const applied = await rig.apply(testPolicy(), { reason: "the beginning" });
  expect(formatVersion(applied.version)).toBe("1.1");
  expect(applied.changes.map((each) => each.resource)).toContain("backend/eu-west-a");
  const got = await get();
  expect(got).toMatchObject({ author: "operator/operator", reason: "the beginning" });
  expect(parsed(got.document)).toMatchObject({ models: [{ name: "llama" }] });
});

test("an equal document makes no new version, however it is written", async () => {
  const reordered = Object.fromEntries(Object.entries(testPolicy()).reverse());
  const again = await rig.apply(new TextEncoder().encode(JSON.stringify(reordered, undefined, 4)));
  expect(again).toMatchObject({ unchanged: true, changes: [] });
  expect(formatVersion(again.version)).toBe("1.1");
});

test("validate tells what an apply would change, and changes nothing", async () => {
  const document = new TextEncoder().encode(JSON.stringify(testPolicy(2)));
  const { changes, problems } = await callUnary(rig.operator, method.validate, { document });
  expect(problems.filter((each) => !each.warning)).toEqual([]);
  expect(changes).toMatchObject(
    testRegions.map((region) => ({ resource: `backend/${region}-a`, detail: "weight 1 → 2" })),
  );
  expect(await inForce()).toBe("1.1");
});

test("a conflict tells what others changed since the expected version", async () => {
  const applied = await rig.apply(testPolicy(2), { expected: { epoch: 1n, sequence: 1n } });
  expect(formatVersion(applied.version)).toBe("1.2");
  const late = await rig.apply(testPolicy(3), { expected: { epoch: 1n, sequence: 1n } });
  expect(late.version).toBeUndefined();
  expect(late.problems[0]).toMatchObject({
    code: "conflict",
    message: "1.2 is in force, not 1.1",
  });
  expect(late.changes[0]).toMatchObject({ kind: Change_Kind.changed, detail: "weight 1 → 2" });
  expect(await inForce()).toBe("1.2");
});

test("a former policy can be got by its version; one that never was is not found", async () => {
  const former = await get({ epoch: 1n, sequence: 1n });
  expect(former.reason).toBe("the beginning");
  expect(formatVersion(former.version)).toBe("1.1");
  await expect(get({ epoch: 7n, sequence: 1n })).rejects.toMatchObject({ code: status.NOT_FOUND });
});

test("of 100 appliers at once each gets a version of its own, and none is lost", async () => {
  const before = (await get()).version?.sequence ?? 0n;
  const appliers = Array.from({ length: 100 }, (_, index) =>
    rig.apply(testPolicy(100 + index), { reason: `applier ${index}` }),
  );
  const applied = await Promise.all(appliers);
  const sequences = applied.map((each) => each.version?.sequence ?? 0n);
  expect(new Set(sequences).size).toBe(100);
  expect(sequences.toSorted((a, b) => Number(a - b)).at(-1)).toBe(before + 100n);
  const last = applied.findIndex((each) => each.version?.sequence === before + 100n);
  expect(await get()).toMatchObject({ reason: `applier ${last}` });
  for (const index of [0, 50, 99]) {
    const version = applied[index]?.version;
    if (version === undefined) throw new Error("an apply without a version");
    expect((await get(version)).reason).toBe(`applier ${index}`);
  }
});

test("of 20 who expect the same version one wins, and the others lose nothing by trying again", async () => {
  const changeOne = async (index: number): Promise<number> => {
    for (let attempt = 1; ; attempt++) {
      const { document, version } = await get();
      if (version === undefined) throw new Error("nothing is in force");
      const policy = parsed(document);
      policy.models.push({ name: `model-${index}` });
      policy.backends[0].serves.push({ model: `model-${index}` });
      const { epoch, sequence } = version;
      const applied = await rig.apply(policy, { expected: { epoch, sequence } });
      if (applied.version !== undefined) return attempt;
      expect(applied.problems[0]?.code).toBe("conflict");
    }
  };
  await Promise.all(Array.from({ length: 20 }, (_, index) => changeOne(index)));
  const policy = parsed((await get()).document);
  expect(policy.models).toHaveLength(21);
});

describe("a document that is not fit is refused with all problems, and nothing changes", () => {
  const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const base = testPolicy();
  test.each<[string, Uint8Array, readonly string[]]>([
    ["broken JSON", new TextEncoder().encode('{"regions": ['), ["broken_json"]],
    ["bytes that are no text", new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]), ["broken_json"]],
    ["nothing", new Uint8Array(), ["empty_document"]],
    ["an empty object", text({}), ["empty_document"]],
    [
      "two unknown fields and a dangling name",
      text({ ...base, regoins: [], backends: [{ ...base.backends[0], wieght: 1 }] }),
      ["unknown_field", "unknown_field"],
    ],
    [
      "dangling names in two places",
      text({
        ...base,
        backends: [{ ...base.backends[0], region: "mars" }, ...base.backends.slice(1)],
        routes: [{ name: "r", targets: [{ model: "nope" }] }],
      }),
      ["dangling_name", "dangling_name"],
    ],
    [
      "a model that nobody serves",
      text({ ...base, models: [...base.models, { name: "lonely" }] }),
      ["unserved_model"],
    ],
    ["more than 4 MiB", new Uint8Array(10 * 1024 * 1024).fill(0x20), ["too_large"]],
  ])("%s", async (_, document, codes) => {
    const before = await inForce();
    const refused = await rig.apply(document);
    const found = refused.problems.filter((each) => !each.warning).map((each) => each.code);
    expect(found).toEqual(codes);
    for (const each of refused.problems) expect(each.message).not.toBe("");
    expect(refused.version).toBeUndefined();
    expect(await inForce()).toBe(before);
    const { problems } = await callUnary(rig.operator, method.validate, { document });
    expect(problems.map((each) => each.code)).toEqual(refused.problems.map((each) => each.code));
  });

  test("what does not even arrive is refused by gRPC", async () => {
    await expect(rig.apply(new Uint8Array(17 * 1024 * 1024))).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
  });

  test("a reason without end", async () => {
    const refused = await rig.apply(testPolicy(7), { reason: "x".repeat(501) });
    expect(refused.problems).toMatchObject([{ code: "too_large", path: "reason" }]);
  });
});

test("a document of several chunks comes back as it was, also after kill -9", async () => {
  const tenants = Array.from({ length: 9_000 }, (_, index) => ({
    name: `tenant-${index}`,
    keys: [{ sha256: index.toString(16).padStart(64, "0") }],
  }));
  const applied = await rig.apply({ ...testPolicy(5), tenants });
  expect(applied.problems.filter((each) => !each.warning)).toEqual([]);
  const version = formatVersion(applied.version);
  const before = await get();
  expect(before.document.length).toBeGreaterThan(3 * 256 * 1024);
  await rig.program.kill();
  await rig.program.start();
  const after = await get();
  expect(formatVersion(after.version)).toBe(version);
  expect(Buffer.compare(after.document, before.document)).toBe(0);
  const next = await rig.apply(testPolicy(6));
  expect(next.version?.sequence).toBe((applied.version?.sequence ?? 0n) + 1n);
});

describe("drains", () => {
  const drain = (init: { region?: string; backend?: string; force?: boolean; reason?: string }) =>
    callUnary(rig.operator, method.drain, {
      what:
        init.region !== undefined
          ? { case: "region", value: init.region }
          : { case: "backend", value: init.backend ?? "" },
      forSeconds: 60,
      reason: init.reason ?? "test",
      force: init.force ?? false,
    });
  const undrain = (region: string) =>
    callUnary(rig.operator, method.undrain, { what: { case: "region", value: region } });

  test("a drain that would leave no region is refused with every reason", async () => {
    const refused = await drain({ region: "eu-west" });
    expect(refused.untilMs).toBe(0n);
    expect(refused.problems.map((each) => each.code)).toContain("last_region");
  });

  test("a forced drain shows in the status with its end and reason, and ends by undrain", async () => {
    const { untilMs, problems } = await drain({ region: "eu-west", force: true, reason: "drill" });
    expect(problems).toEqual([]);
    expect(Number(untilMs)).toBeGreaterThan(Date.now());
    await vi.waitFor(async () => {
      const { regions } = await callUnary(rig.operator, method.status, {});
      expect(regions.find((each) => each.name === "eu-west")).toMatchObject({
        state: "draining",
        reason: "drill",
        drainedUntilMs: untilMs,
      });
    });
    expect(await undrain("eu-west")).toMatchObject({ ended: true });
    expect(await undrain("eu-west")).toMatchObject({ ended: false });
  });

  test("what is in no policy can't be drained, and a name that is none is no request", async () => {
    const refused = await drain({ backend: "nobody" });
    expect(refused.problems.map((each) => each.code)).toEqual(["dangling_name"]);
    await expect(drain({ region: "../x" })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });

  test("of three drains at once of the last three backends two pass", async () => {
    const three = await Promise.all([
      drain({ backend: "eu-west-a" }),
      drain({ backend: "us-east-a" }),
      drain({ backend: "ap-south-a" }),
    ]);
    const passed = three.filter((each) => each.untilMs > 0n);
    expect(passed).toHaveLength(2);
  });
});
