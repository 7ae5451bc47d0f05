// Every checker can fail: one small fleet, made to break one promise at a time, and each time the right checker says so.

import type { Candidate } from "@meridian/data-core/attempt";
import { expect, test } from "vitest";
import type { Exchange } from "../fleet/exchange.ts";
import { ap, eu, optionsOf, type Scenario, type SceneChange, us } from "../scenario/scenario.ts";
import { type Sabotage, Scene, type SceneOptions, warmUpMs } from "../scene/scene.ts";
import { steady } from "../users/demand.ts";
import { allCheckers } from "./all-checkers.ts";

const seconds = 30;

type Case = {
  readonly change?: SceneChange;
  readonly script?: (scene: Scene) => void;
  readonly sabotage: Sabotage;
};

function run({
  change = {},
  script = () => undefined,
  sabotage,
}: Case): ReadonlyMap<string, number> {
  const demand = { [us]: steady(1), [eu]: steady(1), [ap]: steady(0.5) };
  const scenario: Scenario = {
    shows: "",
    seconds,
    change: { demand, ...change },
    script,
    figures: () => [],
  };
  const options: SceneOptions = optionsOf(scenario, "sabotage");
  const scene = new Scene(options, allCheckers, sabotage);
  script(scene);
  scene.world.timeline.runUntil(warmUpMs + seconds * 1_000 + 60_000);
  scene.checks.atEnd();
  return scene.checks.counts;
}

function peerOf({ proxy }: Exchange): Candidate | undefined {
  return proxy.engine.serving()?.upstreams.find((each) => each.kind === "peer");
}

/** All servers of a region fail every request for some seconds. */
function failAll(scene: Scene, region: string): void {
  scene.at(8, () => {
    for (const backend of scene.serversOf(region)) {
      scene.trouble(backend);
      backend.faults.errorShare = 1;
    }
  });
  scene.at(14, () => {
    for (const backend of scene.serversOf(region)) scene.heal(backend);
  });
}

/** One server is cut within answers. */
function cutOne(scene: Scene): void {
  scene.at(10, () => {
    const backend = scene.backends.get(`${us}-llm-0`);
    if (backend === undefined) return;
    scene.trouble(backend);
    backend.faults.truncateShare = 1;
  });
}

/** Requests that were sent on from abroad: once each, or they would go round for ever. */
const sentOn = new Set<number>();

const boundTenants = {
  plan: {
    tenants: [
      { name: "acme", residency: [] },
      { name: "bolt", residency: [eu] },
    ],
  },
  tenants: [{ tenant: "bolt", model: "llama-8b", share: 1 }],
} as const;

const cases: { readonly [checker in keyof typeof allCheckers]: Case } = {
  "local-first": {
    sabotage: {
      proxy: {
        divert: (exchange, candidate) =>
          exchange.isFromPeer || exchange.request.id % 10 > 0
            ? candidate
            : (peerOf(exchange) ?? candidate),
      },
    },
  },
  "static-stability": {
    sabotage: {
      scene: (scene) => {
        scene.at(8, () => {
          for (const control of scene.controls.values()) control.node.crash();
          for (const proxy of scene.proxiesOf(eu)) {
            proxy.node.crash();
            proxy.wipe();
            scene.reviveProxy(proxy);
          }
        });
      },
    },
  },
  "no-silent-truncation": {
    script: cutOne,
    sabotage: {
      proxy: {
        distort: (exchange, ending) =>
          ending?.kind === "broken"
            ? { ...ending, kind: "complete", isTrue: false, outputTokens: exchange.outputTokens() }
            : ending,
      },
    },
  },
  "one-commit-point": {
    sabotage: {
      scene: (scene) => {
        const spoken = new Set<Exchange>();
        const { spoke } = scene.checks;
        scene.checks.listen({
          spoke: (exchange) => {
            if (spoken.size > 0 || spoken.has(exchange)) return;
            spoken.add(exchange);
            spoke(exchange, { attempt: 2, kind: "commit", role: "retry" });
          },
        });
      },
    },
  },
  "one-hop": {
    script: (scene) => failAll(scene, eu),
    sabotage: {
      proxy: {
        divert: (exchange, candidate) => {
          const { id } = exchange.request;
          if (!exchange.isFromPeer || sentOn.has(id)) return candidate;
          sentOn.add(id);
          return peerOf(exchange) ?? candidate;
        },
      },
    },
  },
  residency: {
    change: boundTenants,
    script: (scene) => failAll(scene, eu),
    sabotage: { proxy: { alter: (facts) => ({ ...facts, tenant: "acme" }) } },
  },
  "never-backwards": {
    sabotage: {
      scene: (scene) => {
        scene.at(6, () => {
          const [proxy] = scene.proxiesOf(us);
          const former = proxy?.held;
          scene.applyPolicy({ [`${us}-llm-0`]: 0.5 });
          scene.at(20, () => {
            if (proxy !== undefined && former !== undefined) {
              scene.checks.applied(proxy, former, "control");
            }
          });
        });
      },
    },
  },
  "health-false-alarms": {
    sabotage: {
      scene: (scene) => {
        const control = scene.controls.get(us);
        if (control === undefined) return;
        control.spoilEvidence = (frame) => ({
          ...frame,
          backends: frame.backends.map((each) =>
            each.name === `${us}-llm-1` ? { ...each, failed: each.failed + 5 } : each,
          ),
        });
      },
    },
  },
  "bounded-queues": {
    change: { demand: { [us]: steady(12), [eu]: steady(0.2), [ap]: steady(0.2) } },
    sabotage: {
      scene: (scene) => {
        for (const { server } of scene.serversOf(us)) {
          // Two hundred may wait there, and the policy's plan says that nobody does.
          Object.defineProperty(server, "size", { value: { ...server.size, slots: 4 } });
        }
        Object.assign(scene.queueMax, { [us]: 0 });
      },
    },
  },
  "retry-budget": {
    change: {
      plan: { retryPercent: 100 },
      demand: { [us]: steady(12), [eu]: steady(1), [ap]: steady(1) },
      proxies: 1,
    },
    script: (scene) => failAll(scene, us),
    sabotage: {},
  },
  "share-moved": {
    sabotage: {
      scene: (scene) => {
        const control = scene.controls.get(us);
        if (control === undefined) return;
        control.outflows = () => {
          const isAway = Math.floor(scene.now / 3_000) % 2 === 0;
          return [{ model: "llama-8b", region: eu, share: isAway ? 0.9 : 0 }];
        };
      },
    },
  },
  conservation: {
    sabotage: {
      scene: (scene) => {
        scene.checks.listen({
          firstToken: (record) => {
            if (record.request.id % 50 === 0) {
              scene.world.records.end(record, "complete", scene.now);
            }
          },
        });
      },
    },
  },
  "copies-agree": {
    sabotage: {
      scene: (scene) => {
        // Written into the leader's rows past its log: nobody is told.
        scene.at(seconds + 50, () =>
          scene.store.leader()?.rows.etcd.commit([{ key: "/ctl/drain/backend/x", value: 1 }]),
        );
      },
    },
  },
  "few-writes": {
    sabotage: {
      scene: (scene) => {
        scene.world.timeline.every(100, () => scene.operator.put("/rt/x", 1, () => undefined));
      },
    },
  },
};

test.each(Object.entries(cases))(
  "the checker %s finds its promise broken",
  (name, given) => {
    expect(run(given).get(name) ?? 0).toBeGreaterThan(0);
  },
  120_000,
);

test("the same small fleet left alone breaks none, whatever its servers go through", () => {
  const calm = run({ sabotage: {} });
  const troubled = run({
    script: (scene) => {
      failAll(scene, eu);
      cutOne(scene);
    },
    sabotage: {},
  });
  expect([...calm, ...troubled]).toEqual([]);
}, 120_000);
