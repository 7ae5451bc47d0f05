// `meridian explain` against an admin service of a few answers, and against an operations port.

import { createServer, type Server } from "node:http";
import { create, toJsonString } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { ExplainResponseSchema } from "@meridian/proto/gen/admin_pb";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Answers, Pki, refusal, run, startAdmin } from "./test-admin.ts";

let pki: Pki;
const running: { readonly stop: () => void }[] = [];

beforeAll(async () => {
  pki = await Pki.make();
});
afterEach(() => {
  for (const each of running.splice(0)) each.stop();
});
afterAll(() => pki.remove());

const answer = {
  records: [{ id: "dec_1", requestId: "req_1", ending: "complete", status: 200 }],
  proxies: [{ proxy: "p1", region: "eu" }],
};

async function explain(answers: Answers, ...args: readonly string[]) {
  const admin = await startAdmin(pki, answers);
  running.push(admin);
  return run("explain", ...args, "--server", admin.address, "--tls-dir", pki.part("operator"));
}

async function startOps(serve: (path: string) => { status: number; body: string }) {
  const server: Server = createServer((request, response) => {
    const { status: code, body } = serve(request.url ?? "");
    response.writeHead(code, { "content-type": "application/json" }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  running.push({ stop: () => server.close() });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return `http://127.0.0.1:${port}`;
}

test("the control plane is asked for the id, and its answer is a page", async () => {
  const ids: string[] = [];
  const done = await explain(
    {
      explain: ({ id }) => {
        ids.push(id);
        return answer;
      },
    },
    "dec_1",
  );
  expect(ids).toEqual(["dec_1"]);
  expect(done).toMatchObject({ code: 0, notes: "" });
  expect(done.out).toContain("dec_1: answered (200)");
});

test("as JSON the answer is whole, and who was not asked is still told apart", async () => {
  const proxies = [{ proxy: "p2", region: "us", failure: "no answer" }];
  const done = await explain({ explain: () => ({ ...answer, proxies }) }, "dec_1", "-o", "json");
  expect(done.code).toBe(0);
  expect(JSON.parse(done.out)).toMatchObject({ records: [{ id: "dec_1" }], proxies });
  expect(done.notes).toContain("not asked: p2 in us: no answer");
});

test("what nobody remembers exits with 1 and says why that may be", async () => {
  const done = await explain({ explain: () => ({ proxies: answer.proxies }) }, "dec_9");
  expect(done).toMatchObject({ code: 1, out: "" });
  expect(done.notes).toContain("no record of dec_9 at 1 proxy");
});

test("a certificate without the right is told by its code", async () => {
  const denied = () => refusal(status.PERMISSION_DENIED, "this needs the role operator");
  expect(await explain({ explain: denied }, "dec_1")).toMatchObject({ code: 5, out: "" });
});

test.each(["", "a/b", "x".repeat(129), "a b"])(
  "%j is wrong use, and nobody is asked",
  async (id) => {
    const asked = () => {
      throw new Error("nobody is to be asked");
    };
    expect(await explain({ explain: asked }, id)).toMatchObject({ code: 2, out: "" });
  },
);

test("--ops asks one proxy, without a control plane or a certificate", async () => {
  const paths: string[] = [];
  const ops = await startOps((path) => {
    paths.push(path);
    return {
      status: 200,
      body: toJsonString(ExplainResponseSchema, create(ExplainResponseSchema, answer)),
    };
  });
  const done = await run("explain", "dec_1", "--ops", ops);
  expect(done).toMatchObject({ code: 0, notes: "" });
  expect(done.out).toContain("dec_1: answered (200)");
  expect(paths).toEqual(["/decisions/dec_1"]);
});

test("--ops: a proxy that does not remember answers like a fleet that does not", async () => {
  const body = JSON.stringify({
    proxies: [{ proxy: "p1", region: "eu", oldestMs: "1700000000000" }],
  });
  const ops = await startOps(() => ({ status: 404, body }));
  const done = await run("explain", "dec_9", "--ops", ops);
  expect(done).toMatchObject({ code: 1, out: "" });
  expect(done.notes).toContain("p1 in eu remembers requests since 2023-11-14");
});

test.each([
  ["something else", { status: 200, body: "<html>" }],
  ["another JSON", { status: 200, body: '{"records":7}' }],
])("--ops: %s is no operations port of a proxy", async (_, reply) => {
  const done = await run("explain", "dec_1", "--ops", await startOps(() => reply));
  expect(done).toMatchObject({ code: 3, out: "" });
  expect(done.notes).toContain("is that the operations port of a proxy?");
});

test("--ops: nobody there, and what is no address", async () => {
  expect(await run("explain", "dec_1", "--ops", "http://127.0.0.1:1")).toMatchObject({ code: 3 });
  for (const ops of ["127.0.0.1:8083", "ftp://x", "nonsense"]) {
    expect(await run("explain", "dec_1", "--ops", ops)).toMatchObject({ code: 2 });
  }
});
