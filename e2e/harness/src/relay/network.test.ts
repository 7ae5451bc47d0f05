import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { laneBytesMax } from "./lane.ts";
import { type Network, openNetwork } from "./network.ts";

let network: Network;
let echo: Server;
let echoPort: number;
const sockets = new Set<Socket>();

beforeEach(async () => {
  network = openNetwork();
  echo = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  echoPort = await listen(echo);
});

afterEach(() => {
  network.close();
  echo.close();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
});

test("a link answers the round trip of its pair later than a near link does", async () => {
  network.setDelay({ from: "a", to: "b", rttMs: 60 });
  const near = await open({ from: "a", to: "a" });
  const far = await open({ from: "a", to: "b" });
  await roundTripMs(near);
  await roundTripMs(far);
  // Least of several: a busy machine only ever adds.
  const nearMs = await least(() => roundTripMs(near));
  const farMs = await least(() => roundTripMs(far));
  expect(farMs - nearMs).toBeGreaterThanOrEqual(58);
  expect(farMs - nearMs).toBeLessThan(90);
});

test("the first exchange on a new connection costs a handshake more", async () => {
  network.setDelay({ from: "a", to: "b", rttMs: 60 });
  const far = await open({ from: "a", to: "b" });
  const first = await roundTripMs(far);
  expect(first - (await roundTripMs(far))).toBeGreaterThan(40);
});

test("bytes arrive complete and in order while the delay changes", async () => {
  network.setDelay({ from: "a", to: "b", rttMs: 20 });
  const far = await open({ from: "a", to: "b" });
  const sent = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251));
  const received = collect(far, sent.length);
  for (let at = 0; at < sent.length; at += 10_000) {
    network.setDelay({ from: "a", to: "b", rttMs: (at / 10_000) % 2 === 0 ? 2 : 20 });
    far.write(sent.subarray(at, at + 10_000));
  }
  expect((await received).equals(sent)).toBe(true);
});

test("a half-closed connection still carries the answer", async () => {
  const asked = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("data", () => undefined).on("end", () => socket.end("all heard"));
  });
  const port = await network.addLink({
    from: "a",
    to: "b",
    target: { host: "127.0.0.1", port: await listen(asked) },
  });
  const client = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  sockets.add(client);
  const answer = collect(client, 9);
  client.end("question");
  expect((await answer).toString()).toBe("all heard");
  asked.close();
});

test("a reader that stops makes the writer stop: what is under way is bounded", async () => {
  const deaf = createServer((socket) => {
    sockets.add(socket);
    socket.pause();
  });
  const target = { host: "127.0.0.1", port: await listen(deaf) };
  const port = await network.addLink({ from: "a", to: "b", target });
  const client = await dial(port);
  const chunk = Buffer.alloc(1024 * 1024);
  let taken = 0;
  for (let isFull = false; !isFull; ) {
    const written = new Promise<boolean>((resolve) => client.write(chunk, () => resolve(true)));
    isFull = !(await Promise.race([written, quiet(port)]));
    if (!isFull) taken += chunk.length;
    // The lane, Node's buffers, and the kernel's buffers of two sockets on loopback.
    expect(taken).toBeLessThan(laneBytesMax + 32 * 1024 * 1024);
  }
  deaf.close();
});

test("a cut is a reset for both ends", async () => {
  const client = await open({ from: "a", to: "b" });
  await roundTripMs(client);
  const [server] = [...sockets].filter((each) => each !== client);
  const seen = Promise.all([errorCode(client), server === undefined ? "" : errorCode(server)]);
  network.cut({});
  expect(await seen).toEqual(["ECONNRESET", "ECONNRESET"]);
  expect(network.stats()).toMatchObject([{ cut: 1, live: 0 }]);
});

test("a cut spares what its selector does not name", async () => {
  const spared = await open({ from: "a", to: "a" });
  const chosen = await open({ from: "a", to: "b" });
  await roundTripMs(spared);
  const seen = errorCode(chosen);
  network.cut({ border: "b" });
  expect(await seen).toBe("ECONNRESET");
  expect(await roundTripMs(spared)).toBeGreaterThan(0);
});

test("a fuse lets through exactly its bytes, then resets", async () => {
  const port = await network.addLink({ from: "a", to: "b", target: target() });
  const client = await dial(port);
  await roundTripMs(client);
  let received = 0;
  client.on("data", (bytes) => {
    received += bytes.length;
  });
  const burnt = network.cutAfterBytes([port], 777);
  const seen = errorCode(client);
  client.write(Buffer.alloc(5_000));
  await burnt;
  expect(await seen).toBe("ECONNRESET");
  expect(received).toBe(777);
});

test("a fuse over several links counts the bytes of all, and cuts all", async () => {
  const ports = [
    await network.addLink({ from: "a", to: "b", target: target() }),
    await network.addLink({ from: "a", to: "c", target: target() }),
  ];
  const [one, other] = await Promise.all(ports.map(dial));
  if (one === undefined || other === undefined) throw new Error("two were dialled");
  await Promise.all([roundTripMs(one), roundTripMs(other)]);
  const burnt = network.cutAfterBytes(ports, 10);
  await exchange(one, "12345678");
  const seen = Promise.all([errorCode(one), errorCode(other)]);
  other.write("1234");
  await burnt;
  expect(await seen).toEqual(["ECONNRESET", "ECONNRESET"]);
});

test("in a black hole sockets stay open and silent; healed, everything arrives", async () => {
  const port = await network.addLink({ from: "a", to: "b", target: target() });
  const control = await open({ from: "a", to: "c" });
  const old = await dial(port);
  await roundTripMs(old);
  network.blackHole({ links: [port] }, true);
  const young = await dial(port);
  let heard = 0;
  for (const socket of [old, young]) {
    socket.on("data", (bytes) => {
      heard += bytes.length;
    });
    socket.write("hello");
  }
  // The control link's answers show that time enough has passed for the others to have answered.
  for (let turn = 0; turn < 20; turn++) await roundTripMs(control);
  expect(heard).toBe(0);
  expect([old.destroyed, young.destroyed]).toEqual([false, false]);
  network.heal();
  await vi.waitFor(() => expect(heard).toBe(10), { interval: 2 });
});

test("who gives up in a black hole leaves nothing behind", async () => {
  const port = await network.addLink({ from: "a", to: "b", target: target() });
  network.blackHole({ to: "b" }, true);
  const client = await dial(port);
  client.write("hello");
  await vi.waitFor(() => expect(network.stats()[0]?.live).toBe(1), { interval: 2 });
  client.destroy();
  await vi.waitFor(() => expect(network.stats()[0]?.live).toBe(0), { interval: 2 });
  expect(sockets.size).toBe(1);
});

test("a peer's connections get the distance and the black hole of the place it names", async () => {
  const peers = await network.addLink({ to: "b", target: target() });
  const own = await network.addLink({ to: "a", target: target() });
  network.setDelay({ from: "a", to: "b", rttMs: 4 });
  network.setDelay({ from: "b", to: "c", rttMs: 60 });
  const named = await dial(peers);
  const unnamed = await dial(peers);
  const request = (urls: string) => `GET /raft HTTP/1.1\r\n${urls}\r\n`;
  await exchange(named, request(`X-PeerURLs: http://127.0.0.1:${own}\r\n`));
  await exchange(unnamed, request(""));
  expect(network.stats()[0]?.sources).toEqual({ a: 1, "?": 1 });
  const namedMs = await least(() => exchange(named, "x"));
  const unnamedMs = await least(() => exchange(unnamed, request("")));
  expect(unnamedMs - namedMs).toBeGreaterThan(40);

  network.blackHole({ from: "a" }, true);
  let heard = 0;
  named.on("data", (bytes) => {
    heard += bytes.length;
  });
  named.write("lost");
  await exchange(unnamed, request(""));
  expect(heard).toBe(0);
});

test("a target that refuses is a reset for the client", async () => {
  const closed = createServer();
  const port = await listen(closed);
  closed.close();
  const link = await network.addLink({ from: "a", to: "b", target: { host: "127.0.0.1", port } });
  expect(await errorCode(await dial(link))).toBe("ECONNRESET");
});

function target() {
  return { host: "127.0.0.1", port: echoPort };
}

async function open(ends: { readonly from: string; readonly to: string }): Promise<Socket> {
  return dial(await network.addLink({ ...ends, target: target() }));
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  sockets.add(socket);
  socket.on("error", () => socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function roundTripMs(socket: Socket): Promise<number> {
  return exchange(socket, "ping");
}

async function exchange(socket: Socket, text: string): Promise<number> {
  const started = performance.now();
  const answer = collect(socket, text.length);
  socket.write(text);
  expect((await answer).toString()).toBe(text);
  return performance.now() - started;
}

async function least(measure: () => Promise<number>): Promise<number> {
  const measured: number[] = [];
  for (let turn = 0; turn < 7; turn++) measured.push(await measure());
  return Math.min(...measured);
}

function collect(socket: Socket, bytes: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let length = 0;
    const onData = (part: Buffer) => {
      parts.push(part);
      length += part.length;
      if (length < bytes) return;
      socket.off("data", onData);
      resolve(Buffer.concat(parts));
    };
    socket.on("data", onData);
  });
}

function errorCode(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => {
    socket.once("error", (error) => resolve("code" in error ? error.code : error.message));
  });
}

/** false once the link's counters have stood still for 30 readings of the event loop's timers. */
async function quiet(port: number): Promise<boolean> {
  const up = () => network.stats().find((each) => each.link === port)?.bytesUp ?? 0;
  let last = -1;
  await vi.waitUntil(
    (() => {
      let still = 0;
      return () => {
        still = up() === last ? still + 1 : 0;
        last = up();
        return still > 30;
      };
    })(),
    { interval: 5, timeout: 10_000 },
  );
  return false;
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen({ host: "127.0.0.1", port: 0 }, () =>
      resolve((server.address() as AddressInfo).port),
    );
  });
}
