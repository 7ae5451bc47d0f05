// A proxy with two listener threads, as a program: to its clients, backends and control plane it is one proxy.

import { join } from "node:path";
import { fixtureSnapshot } from "@meridian/proto/fixture";
import type { Snapshot } from "@meridian/proto/gen/snapshot_pb";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { TestControlPlane } from "../control/test-control-plane.ts";
import {
  ask,
  backendOf,
  type FakeUpstream,
  oneRegion,
  type Reply,
  type Script,
  useBeds,
} from "../server/test-bed.ts";
import {
  createTestAuthority,
  issueTestTls,
  type TestAuthority,
} from "../server/test-certificates.ts";
import { deadline, TestProxy, useFolder, writeTls } from "../test-proxy.ts";

const folder = useFolder();
const { upstream } = useBeds();
let authority: TestAuthority;
let tlsDir = "";
let folders = 0;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  authority = await createTestAuthority();
  tlsDir = writeTls(
    join(folder, "tls"),
    await issueTestTls(authority, { role: "proxy", region: "eu" }),
  );
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function controlPlane(held: Snapshot): Promise<TestControlPlane> {
  const files = await issueTestTls(authority, { role: "control", region: "eu" });
  const control = await new TestControlPlane(files).start();
  cleanups.push(() => control.stop());
  control.publish(held);
  return control;
}

function proxy(
  control?: TestControlPlane,
  more: { readonly [name: string]: string } = {},
): TestProxy {
  folders += 1;
  const program = new TestProxy({
    dataDir: join(folder, `data-${folders}`),
    tlsDir,
    controls: control === undefined ? [] : [control.address],
    more: { MERIDIAN_THREADS: "2", ...more },
  });
  cleanups.push(() => program.stop());
  return program;
}

const answer: Script = (_, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end('{"model":"upstream/m","choices":[{"message":{"content":"hi"}}]}');
};

function policy(sequence: number, ...backends: readonly FakeUpstream[]): Snapshot {
  return fixtureSnapshot("eu", oneRegion(backends), sequence);
}

const body = { model: "m", messages: [{ role: "user", content: "hi" }] };

/** On a connection of its own. */
function chat(
  program: TestProxy,
  more: { readonly stream?: boolean } = {},
  onData: () => void = () => undefined,
): Promise<Reply> {
  const url = `http://${program.address("clients")}/v1/chat/completions`;
  return ask(url, { body: { ...body, ...more }, onData });
}

/** The sum of a metric over the label sets that contain `labels`. */
async function metric(program: TestProxy, name: string, labels = ""): Promise<number> {
  const { text } = await program.ops("/metrics");
  const lines = text.split("\n").filter((line) => /^[{ ]/.test(line.slice(name.length)));
  const found = lines.filter((line) => line.startsWith(name) && line.includes(labels));
  return found.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

function servedBy(program: TestProxy): Promise<readonly number[]> {
  const by = (thread: number) => metric(program, "meridian_thread_requests_total", `"${thread}"`);
  return Promise.all([by(0), by(1)]);
}

/** The system spreads connections as it likes: opens some until both threads have had one. */
async function untilBothServe(program: TestProxy, open: () => unknown): Promise<number> {
  let opened = 0;
  while ((await servedBy(program)).includes(0)) {
    expect(opened).toBeLessThan(100);
    opened += 4;
    for (let each = 0; each < 4; each++) open();
    await vi.waitFor(async () => {
      const [zero = 0, one = 0] = await servedBy(program);
      expect(zero + one).toBe(opened);
    }, deadline);
  }
  return opened;
}

test("both threads serve, and every counter, report and record is of both", async () => {
  const backend = await upstream(answer);
  const control = await controlPlane(policy(1, backend));
  const program = await proxy(control).ready();
  const replies: Promise<Reply>[] = [];
  const sent = await untilBothServe(program, () => replies.push(chat(program)));
  const ended = await Promise.all(replies);
  expect(new Set(ended.map((each) => each.status))).toEqual(new Set([200]));
  expect(backend.seen).toHaveLength(sent);

  expect(await metric(program, "meridian_requests_total", 'status="2xx"')).toBe(sent);
  expect(await metric(program, "meridian_attempts_total", 'target="b0"')).toBe(sent);
  expect(await metric(program, "meridian_request_duration_seconds_count")).toBe(sent);
  expect(await metric(program, "meridian_requests_in_flight")).toBe(0);
  expect(await metric(program, "meridian_snapshots_applied_total")).toBe(1);
  expect(await metric(program, "meridian_ready")).toBe(1);
  expect(await metric(program, "meridian_bytes_total", '"in"')).toBeGreaterThan(sent * 100);
  await vi.waitFor(() => {
    expect(control.reports.at(-1)?.requests).toBe(BigInt(sent));
    const reported = control.reports.flatMap((each) => each.backends);
    expect(reported.reduce((sum, each) => sum + each.succeeded, 0)).toBe(sent);
  }, deadline);

  const ids = ended.map((each) => String(each.headers["x-meridian-decision"]));
  expect(new Set(ids).size).toBe(sent);
  const pages = await Promise.all(ids.map((id) => program.ops(`/decisions/${id}`)));
  expect(pages.map((each) => each.status)).toEqual(ids.map(() => 200));
  expect((await program.ops("/decisions/unknown")).status).toBe(404);
  const latest = (await program.ops(`/decisions?limit=${sent}`)).text;
  expect(ids.filter((id) => !latest.includes(id))).toEqual([]);
});

test("a policy is acknowledged when both threads serve by it, and no request fails on the way", async () => {
  const [one, two] = [await upstream(answer), await upstream(answer)];
  const control = await controlPlane(policy(1, one));
  const program = await proxy(control).ready();
  const statuses = new Set<number>();
  let isOver = false;
  const load = async () => {
    while (!isOver) statuses.add((await chat(program)).status);
  };
  const loads = [load(), load(), load()];
  for (let sequence = 2; sequence <= 9; sequence++) {
    const held = sequence % 2 === 0 ? policy(sequence, one, two) : policy(sequence, two);
    control.publish(held);
    await vi.waitFor(() => expect(control.acks.at(-1)?.hash).toBe(held.hash), deadline);
    // From the acknowledgement on no thread answers by an older one.
    const replies = await Promise.all(Array.from({ length: 6 }, () => chat(program)));
    const revisions = replies.map((each) => each.headers["x-meridian-revision"]);
    expect(new Set(revisions)).toEqual(new Set([`1.${sequence}`]));
  }
  isOver = true;
  await Promise.all(loads);
  expect(statuses).toEqual(new Set([200]));
  expect(control.nacks).toEqual([]);
  expect((await servedBy(program)).includes(0)).toBe(false);
});

test("what one thread ejects the other one does not ask", async () => {
  const [living, dying] = [await upstream(answer), await upstream(answer)];
  const control = await controlPlane(policy(1, dying, living));
  const program = await proxy(control).ready();
  await dying.close();
  const ejections = () =>
    program.lines.filter((each) => each.msg === "health changed" && each.kind === "ejected");
  const asked = () => metric(program, "meridian_attempts_total", 'target="b0"');
  for (let round = 1; ; round++) {
    expect(round).toBeLessThan(6);
    const known = ejections().length;
    await vi.waitFor(async () => {
      expect((await chat(program)).status).toBe(200);
      expect(ejections().length).toBeGreaterThan(known);
    }, deadline);
    const newest = ejections().at(-1);
    const before = [await asked(), await servedBy(program)] as const;
    await Promise.all(Array.from({ length: 16 }, () => chat(program)));
    const after = [await asked(), await servedBy(program)] as const;
    // A busy machine lets an ejection pass meanwhile; the next one is twice as long.
    if (Date.now() >= Number(newest?.time) + Number(newest?.forMs)) continue;
    expect(after[0]).toBe(before[0]);
    expect(after[1].every((each, thread) => each > (before[1][thread] ?? 0))).toBe(true);
    expect(await metric(program, "meridian_backends_ejected")).toBe(1);
    break;
  }
});

test("this proxy's own verdict is followed by both threads, where the control plane has none", async () => {
  const ill: Script = (request, response) => {
    if (request.method === "GET") response.writeHead(500).end();
    else answer(request, response);
  };
  const [bad, good] = [await upstream(ill), await upstream(answer)];
  const program = await proxy(await controlPlane(policy(1, bad, good))).ready();
  const asked = () => metric(program, "meridian_attempts_total", 'target="b0"');
  // Nobody asks until then: requests that go well would speak for it.
  await vi.waitFor(async () => {
    const { text } = await program.ops("/metrics");
    expect(text).toContain('meridian_backend_verdict{backend="b0"} 0');
  }, deadline);
  // It may have been told to one thread a moment before the other one.
  await vi.waitFor(async () => {
    const before = [await asked(), await servedBy(program)] as const;
    const replies = await Promise.all(Array.from({ length: 16 }, () => chat(program)));
    expect(new Set(replies.map((each) => each.status))).toEqual(new Set([200]));
    const after = [await asked(), await servedBy(program)] as const;
    expect(after[0]).toBe(before[0]);
    expect(after[1].every((each, thread) => each > (before[1][thread] ?? 0))).toBe(true);
  }, deadline);
});

test("SIGTERM lets the live streams of both threads end, refuses new requests, and exits with 0", async () => {
  const finish: (() => void)[] = [];
  const streaming = await upstream((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write('data: {"choices":[{"delta":{"content":"one"}}]}\n\n');
    finish.push(() =>
      response.end('data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'),
    );
  });
  const program = await proxy(await controlPlane(policy(1, streaming))).ready();
  const live: Promise<Reply>[] = [];
  let started = 0;
  const open = () => {
    let isFirst = true;
    live.push(
      chat(program, { stream: true }, () => {
        if (isFirst) started += 1;
        isFirst = false;
      }),
    );
  };
  const opened = await untilBothServe(program, open);
  await vi.waitFor(() => expect(started).toBe(opened), deadline);

  program.child.kill("SIGTERM");
  expect((await program.logged("draining")).live).toBe(opened);
  await vi.waitFor(async () => {
    const replies = await Promise.all(Array.from({ length: 8 }, () => chat(program)));
    expect(new Set(replies.map((each) => each.status))).toEqual(new Set([503]));
  }, deadline);
  expect(program.child.exitCode).toBeNull();
  for (const each of finish) each();
  for (const reply of await Promise.all(live)) {
    expect(reply).toMatchObject({ status: 200, clean: true });
    expect(reply.body).toContain("[DONE]");
  }
  expect(await program.ended).toBe(0);
});

test("a thread that dies ends the program, with its reason in the log", async () => {
  const bomb = `import { isMainThread } from "node:worker_threads";
    if (!isMainThread) setTimeout(() => { throw new Error("a fault of a test"); }, 50);`;
  const url = `data:text/javascript,${encodeURIComponent(bomb)}`;
  const program = proxy(undefined, { NODE_OPTIONS: `--import=${url}` });
  expect(await program.ended).toBe(1);
  await vi.waitFor(
    () => expect(program.lines.at(-1)?.msg).toMatch(/^listener thread \d died$/),
    deadline,
  );
  expect(program.lines.at(-1)?.cause).toContain("a fault of a test");
});

test("a port that another proxy shares among its threads is refused", async () => {
  const program = await proxy().listening();
  const second = proxy(undefined, { MERIDIAN_LISTEN: program.address("clients") });
  expect(await second.ended).toBe(3);
  expect(second.plain).toContain("(for clients) is taken");
});

test("queues of model servers are read once for all threads, and every thread goes by them", async () => {
  const serving =
    (waiting: number): Script =>
    (request, response) => {
      if (request.url !== "/metrics") return answer(request, response);
      response.end(`vllm:num_requests_waiting{model_name="m"} ${waiting}\n`);
    };
  const [queued, free] = [await upstream(serving(3)), await upstream(serving(0))];
  const at = (upstream: FakeUpstream, name: string) => ({
    ...backendOf(upstream, { name, region: "eu" }),
    metricsPath: "/metrics",
  });
  const backends = [at(queued, "b0"), at(free, "b1")];
  const document = { ...oneRegion([]), backends };
  const program = await proxy(await controlPlane(fixtureSnapshot("eu", document, 1))).ready();
  const waiting = () => metric(program, "meridian_engine_requests_waiting", 'backend="b0"');
  await vi.waitFor(async () => expect(await waiting()).toBe(3), deadline);
  await untilBothServe(program, () => void chat(program));
  // A reading may get old on a machine that is slow enough: then the queue is not known for a moment.
  await vi.waitFor(async () => {
    const calls = () => metric(program, "meridian_attempts_total", 'target="b0"');
    const before = await calls();
    await Promise.all(Array.from({ length: 16 }, () => chat(program)));
    expect(await calls()).toBe(before);
  }, deadline);
});
