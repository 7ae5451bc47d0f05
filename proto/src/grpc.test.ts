import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { PolicyPushSchema, SyncService } from "./gen/meridian/v1/sync_pb.ts";
import { serviceDefinition } from "./grpc.ts";

const definition = serviceDefinition(SyncService, (bytes) => Buffer.from(bytes));

test("paths and streaming follow the schema", () => {
  expect(definition.policy).toMatchObject({
    path: "/meridian.v1.SyncService/Policy",
    requestStream: true,
    responseStream: true,
  });
  expect(definition.state).toMatchObject({ requestStream: false, responseStream: true });
});

test("bytes that are encoded already go out as they are", () => {
  const method = definition.policy;
  const push = create(PolicyPushSchema, { hash: "abc", region: "eu" });
  const once = method?.responseSerialize(push as never);
  expect(once).toBeDefined();
  const again = method?.responseSerialize(once as never);
  expect(again).toEqual(once);
  expect(method?.responseDeserialize(once ?? Buffer.alloc(0))).toMatchObject({ hash: "abc" });
});
