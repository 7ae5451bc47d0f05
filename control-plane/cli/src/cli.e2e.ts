// The commands against an admin service of a few answers, over real mutual TLS.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import type { ApplyRequest } from "@meridian/proto/gen/admin_pb";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { type Answers, Pki, refusal, run, startAdmin, type TestAdmin } from "./test-admin.ts";

let pki: Pki;
let file: string;
const running: TestAdmin[] = [];

const version = { epoch: 1n, sequence: 42n };
const policy = { regions: [{ name: "eu-west" }], models: [{ name: "yes", aliases: ["1e3"] }] };
const document = new TextEncoder().encode(JSON.stringify(policy));
const problem = (code: string, path: string) => ({
  code,
  path,
  message: `${code} it is`,
  hint: "mend it",
  warning: false,
});

beforeAll(async () => {
  pki = await Pki.make();
  file = pki.part("policy.yaml");
  writeFileSync(
    file,
    "regions:\n  - name: eu-west # here\nmodels: [{ name: 'yes', aliases: ['1e3'] }]\n",
  );
});
afterEach(() => {
  for (const each of running.splice(0)) each.stop();
});
afterAll(() => pki.remove());

async function start(answers: Answers): Promise<string> {
  const admin = await startAdmin(pki, answers);
  running.push(admin);
  return admin.address;
}

/** Runs a command against servers with the operator's certificate. */
function ask(servers: string, ...args: readonly string[]) {
  return run(...args, "--server", servers, "--tls-dir", pki.part("operator"));
}

/** A port that accepts connections and never says a word. */
async function silentPort(): Promise<{ address: string; server: Server }> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { address: `127.0.0.1:${port}`, server };
}

/** Nobody listens here. */
const nowhere = "127.0.0.1:1";

test("apply sends the document as JSON with reason and expected version, and tells what changed", async () => {
  const requests: ApplyRequest[] = [];
  const server = await start({
    apply: (request) => {
      requests.push(request);
      return { version, changes: [{ kind: 3, resource: "model/yes", detail: "aliases" }] };
    },
  });
  const done = await ask(server, "apply", "-f", file, "--expected", "1.41", "--reason", "a test");
  expect(done).toEqual({ code: 0, out: "~ model/yes: aliases\napplied 1.42\n", notes: "" });
  expect(requests).toHaveLength(1);
  expect(requests[0]).toMatchObject({
    reason: "a test",
    expected: { epoch: 1n, sequence: 41n },
  });
  expect(JSON.parse(new TextDecoder().decode(requests[0]?.document))).toEqual(policy);
});

test("an apply that changes nothing says so", async () => {
  const server = await start({ apply: () => ({ version, unchanged: true }) });
  const done = await ask(server, "apply", "-f", file);
  expect(done).toEqual({ code: 0, out: "unchanged: 1.42 is in force\n", notes: "" });
});

test.each([
  ["apply", []],
  ["apply", ["--dry-run"]],
  ["validate", []],
] as const)("%s %j that is refused lists every problem and exits with 1", async (command, more) => {
  const problems = [problem("blank", "models[0]"), problem("unserved_model", "models[1]")];
  const server = await start({ apply: () => ({ problems }), validate: () => ({ problems }) });
  const done = await ask(server, command, "-f", file, ...more);
  expect(done).toMatchObject({ code: 1, out: "" });
  expect(done.notes).toBe(
    "refused  blank at models[0]: blank it is (mend it)\n" +
      "refused  unserved_model at models[1]: unserved_model it is (mend it)\n" +
      "the policy is refused: 2 problems; nothing was changed\n",
  );
});

test("a dry run never applies", async () => {
  const server = await start({ validate: () => ({ changes: [{ kind: 1, resource: "model/x" }] }) });
  const done = await ask(server, "apply", "--dry-run", "-f", file);
  expect(done).toMatchObject({ code: 0, out: "+ model/x\n" });
  expect(done.notes).toContain("nothing was applied");
});

test("a conflict exits with 4 and tells what others changed", async () => {
  const changes = [{ kind: 2 as const, resource: "backend/b" }];
  const problems = [problem("conflict", "expected")];
  const server = await start({ apply: () => ({ problems, changes }) });
  const done = await ask(server, "apply", "-f", file, "--expected", "1.1");
  expect(done).toMatchObject({ code: 4, out: "" });
  expect(done.notes).toContain("refused  conflict at expected");
  expect(done.notes).toContain("changed since by others:\n- backend/b\n");
});

test("a file that is no YAML is refused with its place, and nobody is asked", async () => {
  const broken = pki.part("broken.yaml");
  writeFileSync(broken, "a: 1\na: 2\n");
  const done = await ask(nowhere, "apply", "-f", broken);
  expect(done).toMatchObject({ code: 1, out: "" });
  expect(done.notes).toContain("duplicate_key at line 2, column 1");
  const forPrograms = await ask(nowhere, "apply", "-f", broken, "-o", "json");
  expect(JSON.parse(forPrograms.out).problems[0]).toMatchObject({ code: "duplicate_key" });
});

test("what get prints is YAML that apply takes as the same document", async () => {
  const requests: ApplyRequest[] = [];
  const server = await start({
    get: () => ({ version, document, author: "operator/a", reason: "one\ntwo", appliedMs: 0n }),
    apply: (request) => {
      requests.push(request);
      return { version, unchanged: true };
    },
  });
  const got = await ask(server, "get");
  expect(got.code).toBe(0);
  expect(got.out).toContain("# 1.42, 1970-01-01T00:00:00.000Z, operator/a: one two\n");
  expect(parse(got.out)).toEqual(policy);
  const fetched = pki.part("fetched.yaml");
  writeFileSync(fetched, got.out);
  expect((await ask(server, "apply", "-f", fetched)).code).toBe(0);
  expect(JSON.parse(new TextDecoder().decode(requests[0]?.document))).toEqual(policy);
  expect(JSON.parse((await ask(server, "get", "-o", "json")).out)).toEqual(policy);
});

test("a version that is not kept exits with 1, one that is none with 2", async () => {
  const server = await start({ get: () => refusal(status.NOT_FOUND, "no policy 9.9 is kept") });
  expect(await ask(server, "get", "--version", "9.9")).toEqual({
    code: 1,
    out: "",
    notes: "meridian: no policy 9.9 is kept\n",
  });
  expect((await ask(server, "get", "--version", "latest")).code).toBe(2);
});

test("status is tables for people and ProtoJSON for programs", async () => {
  const server = await start({
    status: ({ localOnly }) => ({
      policy: version,
      regions: [{ name: "eu-west", state: "ready", proxies: 1, backends: 2, available: 2 }],
      controlPlanes: [{ id: localOnly ? "here" : "control-eu-west", state: "serving" }],
      proxies: [{ id: "proxy-1", applied: version, stateAgeMs: 850, seenMs: 90 }],
      backends: [{ name: "b\u001b[2J", state: "available", ejectedBy: 1 }],
    }),
  });
  const shown = await ask(server, "status");
  expect(shown).toMatchObject({ code: 0, notes: "" });
  for (const text of [
    /^policy 1\.42$/m,
    /^eu-west +ready +1 +2\/2 /m,
    /^control-eu-west +serving/m,
    /^proxy-1 +1\.42 +850 ms +90 ms ago/m,
    /^b\[2J +available .* kept out by 1 proxy$/m,
  ]) {
    expect(shown.out).toMatch(text);
  }
  const json = JSON.parse((await ask(server, "status", "--local", "-o", "json")).out);
  expect(json.controlPlanes).toEqual([{ id: "here", state: "serving" }]);
  expect(json.policy).toEqual({ epoch: "1", sequence: "42" });
  expect(parse((await ask(server, "status", "--local", "-o", "yaml")).out)).toEqual(json);
});

test("drain says until when, and sends time, reason and force", async () => {
  const server = await start({
    drain: ({ what, forSeconds, reason, force }) => {
      const isAsked = what.value === "us-a" && what.case === "backend" && forSeconds === 1_800;
      return isAsked && reason === "why" && force
        ? { untilMs: BigInt(Date.now() + 1_800_000) }
        : { problems: [problem("out_of_range", "forSeconds")] };
    },
  });
  const args = ["drain", "backend", "us-a", "--for", "30m", "--reason", "why"];
  const done = await ask(server, ...args, "--force");
  expect(done).toEqual({ code: 0, out: "backend us-a is drained for 30 min\n", notes: "" });
  const refused = await ask(server, ...args);
  expect(refused).toMatchObject({ code: 1, out: "" });
  expect(refused.notes).toContain("out_of_range at forSeconds");
  expect((await ask(server, "drain", "backend", "us-a", "--for", "soon")).code).toBe(2);
});

test("undrain tells whether there was a drain", async () => {
  const server = await start({
    undrain: ({ what }) => ({ ended: what.case === "region" && what.value === "eu-west" }),
  });
  expect((await ask(server, "undrain", "region", "eu-west")).out).toContain("no longer drained");
  expect((await ask(server, "undrain", "region", "us-east")).out).toContain("was not drained");
});

test("version tells the control plane's build, and its own even when nobody answers", async () => {
  const node = { id: "control-eu-west", region: "eu-west", build: "9.8.7" };
  const server = await start({ getVersion: () => ({ node }) });
  expect((await ask(server, "version")).out).toMatch(/^meridian \d.*\ncontrol plane .* 9\.8\.7\n$/);
  expect(JSON.parse((await ask(server, "version", "-o", "json")).out)).toMatchObject({ node });
  const alone = await ask(nowhere, "version");
  expect(alone.code).toBe(3);
  expect(alone.out).toMatch(/^meridian \d/);
});

test("a server out of reach exits with 3, and the next one is asked", async () => {
  const done = await ask(nowhere, "status");
  expect(done).toMatchObject({ code: 3, out: "" });
  expect(done.notes).toContain(`${nowhere} does not answer`);
  const server = await start({ status: () => ({ policy: version }) });
  expect((await ask(`${nowhere}, ${server}`, "status")).out).toContain("policy 1.42");
});

test("a server that takes connections and says nothing is passed over, also by an apply", async () => {
  const silent = await silentPort();
  const server = await start({ apply: () => ({ version }) });
  const done = await ask(`${silent.address},${server}`, "apply", "-f", file, "--timeout", "2");
  silent.server.close();
  expect(done).toMatchObject({ code: 0, out: "applied 1.42\n" });
});

test("an apply that may have been done is asked of nobody else; a read is", async () => {
  const lost = refusal(status.UNAVAILABLE, "the policy may not be in force");
  let count = 0;
  const first = await start({ apply: () => lost, status: () => lost });
  const second = await start({
    apply: () => {
      count += 1;
      return { version };
    },
    status: () => ({ policy: version }),
  });
  const done = await ask(`${first},${second}`, "apply", "-f", file);
  expect(done).toMatchObject({ code: 3, out: "" });
  expect(done.notes).toContain("the policy may not be in force");
  expect(count).toBe(0);
  expect((await ask(`${first},${second}`, "status")).code).toBe(0);
});

test("a call that is not answered in time exits with 3", async () => {
  const server = await start({ status: () => "silence" });
  const done = await ask(server, "status", "--timeout", "1");
  expect(done).toMatchObject({ code: 3, out: "" });
  expect(done.notes).toContain("did not answer in time");
});

test("a control plane that is too busy has changed nothing: the next one is asked", async () => {
  const busy = refusal(status.RESOURCE_EXHAUSTED, "too many documents at once");
  const first = await start({ apply: () => busy });
  const second = await start({ apply: () => ({ version }) });
  expect((await ask(`${first},${second}`, "apply", "-f", file)).code).toBe(0);
  expect((await ask(first, "apply", "-f", file)).code).toBe(3);
});

test("a proxy's certificate is denied with 5", async () => {
  const server = await start({ status: () => ({ policy: version }) });
  const done = await run("status", "--server", server, "--tls-dir", pki.part("proxy-eu-west"));
  expect(done).toMatchObject({ code: 5, out: "" });
  expect(done.notes).toContain("this needs the role operator");
});

test("another authority's certificate, and one that has ended, are denied with 5 and told apart", async () => {
  const server = await start({ status: () => ({ policy: version }) });
  const other = await Pki.make();
  const mixed = other.part("mixed");
  mkdirSync(mixed);
  copyFileSync(join(pki.part("operator"), "ca.pem"), join(mixed, "ca.pem"));
  for (const name of ["cert.pem", "key.pem"]) {
    copyFileSync(join(other.part("operator"), name), join(mixed, name));
  }
  const statusWith = (folder: string) => run("status", "--server", server, "--tls-dir", folder);
  const foreign = await statusWith(other.part("operator"));
  const unsigned = await statusWith(mixed);
  const ended = await statusWith(await pki.issueAt(new Date("2020-01-01T00:00:00Z")));
  other.remove();
  expect([foreign.code, unsigned.code, ended.code]).toEqual([5, 5, 5]);
  expect(foreign.notes).toContain("is not trusted");
  expect(unsigned.notes).toContain("was not made by the authority");
  expect(ended.notes).toContain("ended on");
});

test("a folder without a certificate, or with a broken one, exits with 2 and tells how to make one", async () => {
  const empty = pki.part("empty");
  const broken = pki.part("broken");
  mkdirSync(broken);
  for (const name of ["ca.pem", "cert.pem", "key.pem"]) writeFileSync(join(broken, name), "x");
  for (const folder of [empty, broken]) {
    const done = await run("status", "--server", nowhere, "--tls-dir", folder);
    expect(done).toMatchObject({ code: 2, out: "" });
    expect(done.notes).toContain(folder);
    expect(done.notes).toContain("meridian pki issue --role operator");
  }
});

test("an address that is none is wrong use", async () => {
  for (const server of ["", "localhost", "a:b", ","]) {
    expect((await ask(server, "status")).code).toBe(2);
  }
});

test("the program exits with the outcome's code, plain where nobody looks", async () => {
  const server = await start({
    validate: () => ({ problems: [problem("blank", "models[0]")] }),
    status: () => ({ policy: version }),
  });
  const entry = join(import.meta.dirname, "main.ts");
  const env = { ...process.env, MERIDIAN_SERVER: server, MERIDIAN_TLS_DIR: pki.part("operator") };
  const spawned = await spawnDone(entry, ["validate", "-f", file], env);
  expect(spawned).toMatchObject({ code: 1, stdout: "" });
  expect(spawned.stderr).toMatch(/^refused {2}blank at/);
  expect(await spawnDone(entry, ["status"], env)).toMatchObject({ code: 0, stderr: "" });
});

test("a reader that stops early is no failure, and bash accepts its completion", () => {
  const entry = join(import.meta.dirname, "main.ts");
  const piped = `"${process.execPath}" "${entry}" completion bash | true; exit "\${PIPESTATUS[0]}"`;
  const done = spawnSync("bash", ["-c", piped], { encoding: "utf8" });
  expect(done).toMatchObject({ status: 0, stderr: "" });
  const script = execFileSync(process.execPath, [entry, "completion", "bash"], {
    encoding: "utf8",
  });
  const asked = `${script}
COMP_WORDS=(meridian pki i); COMP_CWORD=2; _meridian; echo "\${COMPREPLY[@]}"
COMP_WORDS=(meridian drain ""); COMP_CWORD=2; _meridian; echo "\${COMPREPLY[@]}"
COMP_WORDS=(meridian apply --ex); COMP_CWORD=2; _meridian; echo "\${COMPREPLY[@]}"`;
  const replies = execFileSync("bash", ["-c", asked], { encoding: "utf8" }).split("\n");
  expect(replies[0]).toBe("init issue");
  expect(replies[1]).toMatch(/^region backend /);
  expect(replies[2]).toBe("--expected");
});

/** Not spawnSync: the admin service answers from this very process. */
async function spawnDone(entry: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, [entry, ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { code, stdout, stderr };
}
