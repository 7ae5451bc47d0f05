// What a connection promises: order, patience with a cut way, and a word about its end where somebody is left to say it.

import { seededRandom } from "@meridian/proto/base";
import { expect, test } from "vitest";
import { Network } from "../kernel/network.ts";
import { Timeline } from "../kernel/timeline.ts";
import { Connection } from "./connection.ts";
import { Net } from "./net.ts";

function bed() {
  const timeline = new Timeline();
  const random = seededRandom("connection");
  const network = new Network(timeline, random);
  network.connect("a", "b", 100, 1);
  const net = new Net(timeline, network, random);
  const near = net.addNode("near", "a");
  const far = net.addNode("far", "b");
  const heard: string[] = [];
  const connection = new Connection(
    net,
    { near, far },
    {
      near: (reason) => heard.push(`near: ${reason}`),
      far: (reason) => heard.push(`far: ${reason}`),
    },
  );
  return { timeline, net, near, far, heard, connection };
}

test("what is sent comes once and in order, however much delays vary", () => {
  const { connection, heard, timeline } = bed();
  const sent = Array.from({ length: 50 }, (_, n) => String(n));
  for (const each of sent) connection.send("near", () => heard.push(each));
  timeline.runUntil(10_000);
  expect(heard).toEqual(sent);
});

test("a cut way holds back what is sent over it, and only in its direction", () => {
  const { connection, heard, net, timeline } = bed();
  net.cut("a", "b");
  connection.send("near", () => heard.push("there"));
  connection.send("far", () => heard.push("back"));
  timeline.runUntil(20_000);
  expect(heard).toEqual(["back"]);
  net.mend("a", "b");
  timeline.runUntil(30_000);
  expect(heard).toEqual(["back", "there"]);
});

test("who sends over a cut way for long gives up", () => {
  const { connection, heard, net, timeline } = bed();
  net.cut("a", "b");
  connection.send("near", () => heard.push("there"));
  timeline.runUntil(100_000);
  expect(heard).toEqual(["near: no way there"]);
});

test("the end is told by a side that closes and by a host whose process died, not by a host that is gone", () => {
  const closed = bed();
  closed.connection.close("near");
  closed.timeline.runUntil(1_000);
  expect(closed.heard).toEqual(["far: closed by the other side"]);
  const crashed = bed();
  crashed.far.crash();
  crashed.timeline.runUntil(1_000);
  expect(crashed.heard).toEqual(["near: reset by the other side"]);
  const gone = bed();
  gone.far.crash(true);
  gone.timeline.runUntil(1_000);
  expect(gone.heard).toEqual([]);
});

test("the next life of a process knows nothing of the connection", () => {
  const { connection, far, heard, timeline } = bed();
  far.crash(true);
  far.revive();
  connection.send("near", () => heard.push("there"));
  timeline.runUntil(10_000);
  expect(heard).toEqual(["near: reset by the other side"]);
});
