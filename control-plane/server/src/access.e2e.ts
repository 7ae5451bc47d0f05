import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { entries, runCommand } from "@meridian/harness";
import { AdminService } from "@meridian/proto/gen/admin_pb";
import { SyncService } from "@meridian/proto/gen/sync_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callUnary, openBidiStream, openServerStream } from "./test-calls.ts";
import { TestProxy } from "./test-proxy.ts";
import { Rig, testPolicy } from "./test-rig.ts";

let rig: Rig;

beforeAll(async () => {
  rig = await Rig.start();
  await rig.apply(testPolicy());
});
afterAll(async () => {
  await rig?.stop();
});

const denied = { code: status.PERMISSION_DENIED };

/** How a stream that is only read ends. */
function endOf(stream: {
  on(event: "data", listener: () => void): unknown;
  on(event: "error", listener: (cause: ServiceError) => void): unknown;
  on(event: "end", listener: () => void): unknown;
}): Promise<ServiceError | "end" | "data"> {
  return new Promise((resolve) => {
    stream.on("error", resolve);
    stream.on("data", () => resolve("data"));
    stream.on("end", () => resolve("end"));
  });
}

describe("the admin service", () => {
  const { method } = AdminService;
  const calls = (client: Client) => [
    callUnary(client, method.apply, { document: new Uint8Array() }),
    callUnary(client, method.validate, { document: new Uint8Array() }),
    callUnary(client, method.get, {}),
    callUnary(client, method.status, {}),
    callUnary(client, method.drain, { what: { case: "region", value: "eu-west" } }),
    callUnary(client, method.undrain, { what: { case: "region", value: "eu-west" } }),
    callUnary(client, method.getVersion, {}),
    callUnary(client, method.explain, { id: "req_1" }),
  ];

  test("refuses every call of a proxy", async () => {
    for (const call of calls(rig.connect("proxy-eu-west"))) {
      await expect(call).rejects.toMatchObject(denied);
    }
  });

  test("gives a control plane its own status and what its own proxies remember, and nothing else", async () => {
    const peer = rig.connect("control-us-east");
    for (const call of calls(peer)) await expect(call).rejects.toMatchObject(denied);
    const local = await callUnary(peer, method.status, { localOnly: true });
    expect(local.controlPlanes).toMatchObject([{ id: "control-eu-west" }]);
    const explained = await callUnary(peer, method.explain, { id: "req_1", localOnly: true });
    expect(explained).toMatchObject({ records: [], unreachedControlPlanes: [] });
  });
});

describe("the sync service", () => {
  const { method } = SyncService;

  test.each(["operator", "control-eu-west"])("refuses %s on every lane", async (part) => {
    const client = rig.connect(part);
    const node = { id: "x", region: "eu-west", build: "" };
    expect(await endOf(openBidiStream(client, method.policy))).toMatchObject(denied);
    expect(await endOf(openServerStream(client, method.state, { node }))).toMatchObject(denied);
    expect(await endOf(openBidiStream(client, method.report))).toMatchObject(denied);
    expect(await endOf(openBidiStream(client, method.questions))).toMatchObject(denied);
  });

  test("gives a proxy no other region's policy, state or place in the fleet", async () => {
    const liar = new TestProxy(rig.connect("proxy-us-east"), "eu-west", "liar");
    liar.hello();
    expect(await liar.pushes.finish()).toMatchObject(denied);
    expect(liar.pushes.items).toEqual([]);
    const states = liar.states();
    expect(await states.finish()).toMatchObject(denied);
    expect(states.items).toEqual([]);
    const { acks, send } = liar.reports();
    send({ sequence: 1n });
    expect(await acks.finish()).toMatchObject(denied);
    expect(await liar.questions().inbox.finish()).toMatchObject(denied);
    const { proxies } = await callUnary(rig.operator, AdminService.method.status, {});
    expect(proxies).toEqual([]);
  });

  test("wants to know who a proxy is", async () => {
    const nameless = new TestProxy(rig.connect("proxy-eu-west"), "eu-west", "a\nb");
    nameless.hello();
    expect(await nameless.pushes.finish()).toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});

describe("the connection", () => {
  const file = (part: string, name: string) => readFileSync(join(rig.tls(part), name));
  const options = { "grpc.ssl_target_name_override": "localhost" };
  const ask = (client: Client) => {
    const asked = callUnary(client, AdminService.method.getVersion, {}, 3_000);
    return asked.finally(() => client.close());
  };

  test("is not made without a certificate", async () => {
    const secure = credentials.createSsl(file("operator", "ca.pem"));
    const client = new Client(rig.address, secure, options);
    await expect(ask(client)).rejects.toMatchObject({ code: status.UNAVAILABLE });
  });

  test("is not made in the clear", async () => {
    const client = new Client(rig.address, credentials.createInsecure());
    await expect(ask(client)).rejects.toMatchObject({ code: status.UNAVAILABLE });
  });

  test("is not made with a certificate of another authority", async () => {
    const out = join(rig.folder, "strangers");
    await runCommand({
      entry: entries.commandLine,
      args: ["pki", "init", "--out", out, "--region", "eu-west"],
    });
    const own = (name: string) => readFileSync(join(out, "operator", name));
    const ca = file("operator", "ca.pem");
    const secure = credentials.createSsl(ca, own("key.pem"), own("cert.pem"));
    await expect(ask(new Client(rig.address, secure, options))).rejects.toMatchObject({
      code: status.UNAVAILABLE,
    });
  });
});

describe("tools of the gRPC world", () => {
  const asIs = (bytes: Buffer) => bytes;

  test("health is answered for the whole and for each service", async () => {
    const client = rig.connect("proxy-eu-west");
    const check = (service: string) =>
      new Promise<Buffer | undefined>((resolve, reject) => {
        const request = Buffer.from(new BinaryWriter().tag(1, 2).string(service).finish());
        const path = "/grpc.health.v1.Health/Check";
        client.makeUnaryRequest(path, asIs, asIs, request, (error, answer) =>
          error === null ? resolve(answer) : reject(error),
        );
      });
    for (const service of ["", SyncService.typeName, AdminService.typeName]) {
      // Field 1 is the status; 1 is SERVING.
      expect(await check(service)).toEqual(Buffer.from([0x08, 0x01]));
    }
    await expect(check("nobody")).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  test("reflection lists the services and describes them with all that they need", async () => {
    const client = rig.connect("operator");
    const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    const stream = client.makeBidiStreamRequest(path, asIs, asIs);
    const ask = (field: number, value: string) => {
      const answer = new Promise<Buffer>((resolve, reject) => {
        stream.once("data", resolve);
        stream.once("error", reject);
      });
      stream.write(Buffer.from(new BinaryWriter().tag(field, 2).string(value).finish()));
      return answer;
    };
    const listed = fieldsOf(await ask(7, "*"), 6).flatMap((list) => fieldsOf(list, 1));
    const names = listed.flatMap((each) => fieldsOf(each, 1)).map((each) => each.toString());
    expect(names).toEqual(
      expect.arrayContaining(["meridian.v1.AdminService", "meridian.v1.SyncService"]),
    );

    const described = fieldsOf(await ask(4, "meridian.v1.AdminService"), 4);
    const files = described
      .flatMap((each) => fieldsOf(each, 1))
      .map((each) => fromBinary(FileDescriptorProtoSchema, each));
    const found = new Map(files.map((each) => [each.name, each]));
    const missing = files.flatMap((each) => each.dependency).filter((name) => !found.has(name));
    expect(missing).toEqual([]);
    const methods = found.get("meridian/v1/admin.proto")?.service[0]?.method ?? [];
    expect(methods.map((each) => each.name)).toEqual(AdminService.methods.map((each) => each.name));
    stream.end();
  });
});

test("the ops port tells life, readiness and metrics", async () => {
  for (const path of ["/livez", "/readyz"])
    expect((await fetch(rig.opsUrl + path)).status).toBe(200);
  const metrics = await (await fetch(`${rig.opsUrl}/metrics`)).text();
  expect(metrics).toContain("meridian_control_policy_sequence 1");
  expect(metrics).toContain('meridian_control_admin_calls_total{method="Apply",code="OK"} 1');
  expect((await fetch(`${rig.opsUrl}/nothing`)).status).toBe(404);
});

/** Every length-delimited field of a number. */
function fieldsOf(message: Uint8Array, number: number): readonly Buffer[] {
  const reader = new BinaryReader(message);
  const found: Buffer[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === number) found.push(Buffer.from(reader.bytes()));
    else reader.skip(wireType);
  }
  return found;
}
