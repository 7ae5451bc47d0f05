import { beforeAll, expect, test } from "vitest";
import type { PeerTls } from "./index.ts";
import {
  applyPolicy,
  ask,
  type Bed,
  backendOf,
  oneRegion,
  type PolicyDocument,
  type Script,
  useBeds,
} from "./test-bed.ts";
import { createTestAuthority, issueTestTls } from "./test-certificates.ts";

const { upstream, bed } = useBeds();

const identities = new Map<string, PeerTls>();
beforeAll(async () => {
  const authority = await createTestAuthority();
  for (const region of ["eu", "us"]) {
    identities.set(region, await issueTestTls(authority, { role: "proxy", region }));
  }
});

const chat = { model: "m", messages: [] };
const answer: Script = (_, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end('{"model":"upstream/m","choices":[{"message":{"content":"hi"}}]}');
};

const routes = [
  { name: "blue", match: { headers: [{ name: "X-Team", value: "blue-*" }] } },
  { name: "chats", match: { paths: ["/v1/chat/*"] } },
  { name: "rest" },
];

async function routed(bed: Bed, path: string, headers: { [name: string]: string } = {}) {
  const body =
    path.endsWith("/completions") && !path.includes("chat") ? { ...chat, prompt: "x" } : chat;
  await ask(`${bed.url}${path}`, { body, headers });
  return bed.finished.at(-1)?.outcome?.route;
}

test("a request takes the route that its headers and its path lead to, with or without /v1", async () => {
  const eu = await bed({ document: { ...oneRegion([await upstream(answer)]), routes } });
  expect(await routed(eu, "/v1/chat/completions", { "x-team": "blue-1" })).toBe("blue");
  expect(await routed(eu, "/v1/chat/completions", { "x-team": "red" })).toBe("chats");
  expect(await routed(eu, "/chat/completions")).toBe("chats");
  expect(await routed(eu, "/v1/completions")).toBe("rest");
});

test("another region takes the same route, and a model server sees none of its headers", async () => {
  const [away, other] = [await upstream(answer), await upstream(answer)];
  const beds = new Map<string, Bed>();
  for (const region of ["eu", "us"]) {
    const peerTls = identities.get(region);
    beds.set(region, await bed(peerTls === undefined ? { region } : { region, peerTls }));
  }
  const document: PolicyDocument = {
    regions: ["eu", "us"].map((name) => ({
      name,
      peers: [`127.0.0.1:${beds.get(name)?.peerPort}`],
    })),
    backends: [
      backendOf(away, { name: "eu-a", region: "eu" }),
      backendOf(other, { name: "us-a", region: "us" }),
    ],
    models: [{ name: "m" }],
    routes,
  };
  for (const [region, { engine, server }] of beds) applyPolicy(engine, server, region, document);
  await away.close();
  const eu = beds.get("eu");
  const headers = { "x-team": "blue-1", "x-meridian-tenant": "evil", "x-other": "1" };
  const reply = await ask(`${eu?.url}/chat/completions`, { body: chat, headers });
  expect(reply.headers["x-meridian-region"]).toBe("us");
  expect(beds.get("us")?.finished).toMatchObject([
    { tenant: "anonymous", outcome: { route: "blue" } },
  ]);
  const seen = other.seen[0]?.headers ?? {};
  for (const name of Object.keys(headers)) expect(seen).not.toHaveProperty(name);
});

test("the beginning of a prompt is read only where a route goes by it", async () => {
  const server = await upstream(answer);
  const body = { model: "m", messages: [{ role: "user", content: "x".repeat(5_000) }] };
  for (const [balance, blocks] of [
    ["cache-aware", 4],
    ["least-outstanding", 0],
  ] as const) {
    const eu = await bed({ document: oneRegion([server], { balance }) });
    await ask(`${eu.url}/v1/chat/completions`, { body });
    expect(eu.finished[0]?.outcome?.facts.prefix).toHaveLength(blocks);
  }
});
