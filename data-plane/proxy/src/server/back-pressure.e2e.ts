import http from "node:http";
import { expect, test, vi } from "vitest";
import { ask, oneRegion, type Script, useBeds } from "./test-bed.ts";

const { upstream, bed, atEnd } = useBeds();

const event = `data: {"choices":[{"index":0,"delta":{"content":"${"x".repeat(1_000)}"}}]}\n\n`;
const end = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
const events = 60_000;
const body = JSON.stringify({ model: "m", messages: [], stream: true });

/** Writes a long stream as fast as the reader takes it, and counts. */
function longStream(written: { events: number }): Script {
  return (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const pump = (): void => {
      while (written.events < events) {
        written.events += 1;
        if (!response.write(event)) {
          response.once("drain", pump);
          return;
        }
      }
      response.end(end);
    };
    pump();
  };
}

test("a reader that stops makes the upstream stop, holds nobody else up, and gets everything later", async () => {
  const written = { events: 0 };
  const backend = await upstream(longStream(written));
  const { url, finished } = await bed({ document: oneRegion([backend]) });
  const slow = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = http.request(`${url}/v1/chat/completions`, { method: "POST", agent: false });
    request.on("response", resolve).on("error", reject).end(body);
    atEnd(() => void request.destroy());
  });
  slow.pause();
  // The upstream stands still when two looks, a while apart, see the same count.
  let last = -1;
  const isStill = (): boolean => {
    const before = last;
    last = written.events;
    return last > 0 && last === before;
  };
  await vi.waitUntil(isStill, { timeout: 10_000, interval: 200 });
  // Socket buffers of two connections and Node's own; far from the 60 MB of the whole.
  expect(written.events * event.length).toBeLessThan(24_000_000);
  backend.script = (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(event + end);
  };
  const quick = await ask(`${url}/v1/chat/completions`, { body });
  expect(quick).toMatchObject({ status: 200, clean: true });
  let received = 0;
  for await (const chunk of slow) received += chunk.length;
  expect(received).toBe(events * event.length + end.length);
  expect(finished).toHaveLength(2);
});
