// Model servers: slow together, flapping, lying, dying; retry storms; hot prompts; days.

import { type Scene, warmUpMs } from "../scene/scene.ts";
import { diurnal, steady, usualSession } from "../users/demand.ts";
import {
  began,
  firstTokenQuantile,
  isComplete,
  of,
  recoveredAfter,
  servedBy,
  share,
} from "./measure.ts";
import { ap, easy, eu, type Scenario, us } from "./scenario.ts";

export const correlatedSlowness: Scenario = {
  shows:
    "All servers of a region become five times as slow at once: nobody is thrown out for it, and what the region can't bear goes elsewhere.",
  seconds: 160,
  script: (scene) => {
    scene.at(40, () => {
      for (const backend of scene.serversOf(eu)) backend.server.slowness = 5;
    });
    scene.at(110, () => {
      for (const backend of scene.serversOf(eu)) backend.server.slowness = 1;
    });
  },
  figures: (scene) => {
    const slow = of(eu, began(scene, { from: 55, to: 110 }));
    return [
      {
        name: "complete",
        value: share(began(scene, { from: 0, to: 160 }), isComplete),
        unit: "",
        atLeast: 0.999,
      },
      {
        name: "of the slow region served abroad",
        value: share(slow, (each) => each.remote),
        unit: "",
      },
      { name: "p50 there", value: firstTokenQuantile(slow, 0.5), unit: "ms", atMost: 4_000 },
    ];
  },
};

export const flappingBackend: Scenario = {
  shows:
    "A server dies and comes back every few seconds: streams that it breaks go on elsewhere, and soon it gets no more.",
  seconds: 150,
  change: { plan: { continueStreams: true } },
  script: (scene) => {
    const backend = scene.backends.get(`${us}-llm-0`);
    if (backend === undefined) return;
    for (let second = 20; second < 100; second += 8) {
      scene.at(second, () => {
        scene.trouble(backend);
        backend.crash();
      });
      scene.at(second + 5, () => scene.heal(backend));
    }
  },
  figures: (scene) => {
    const all = began(scene, { from: 0, to: 150 });
    const late = of(us, began(scene, { from: 50, to: 100 }));
    const onIt = servedBy(late).get(`${us}-llm-0`) ?? 0;
    return [
      { name: "complete", value: share(all, isComplete), unit: "", atLeast: 0.998 },
      {
        name: "refused",
        value: share(all, (each) => each.ending === "refused"),
        unit: "",
        atMost: 0,
      },
      {
        name: "of us users on it after half a minute",
        value: onIt / late.length,
        unit: "",
        atMost: 0.15,
      },
    ];
  },
};

export const backendDies: Scenario = {
  shows:
    "One server's process dies, another's host goes dark: before the first token nobody sees it.",
  seconds: 110,
  script: (scene) => {
    scene.at(30, () => hit(scene, `${us}-llm-1`, (backend) => backend.crash()));
    scene.at(40, () => hit(scene, `${eu}-llm-2`, (backend) => backend.vanish()));
    for (const name of [`${us}-llm-1`, `${eu}-llm-2`]) {
      scene.at(80, () => {
        const backend = scene.backends.get(name);
        if (backend !== undefined) scene.heal(backend);
      });
    }
  },
  figures: (scene) => {
    const all = began(scene, { from: 0, to: 110 });
    return [
      {
        name: "refused or unheard",
        value: share(all, (e) => e.ending === "refused" || e.ending === "unheard"),
        unit: "",
        atMost: 0,
      },
      {
        name: "broken after the first token",
        value: share(all, (each) => each.ending === "broken"),
        unit: "",
        atMost: 0.02,
      },
    ];
  },
};

export const liarBackend: Scenario = {
  shows:
    "A server answers probes and canaries well, and of requests six in ten badly: what requests show counts, and probes don't clear it.",
  seconds: 140,
  script: (scene) => {
    scene.at(25, () =>
      hit(scene, `${ap}-llm-0`, ({ faults }) => {
        faults.liesToProbes = true;
        faults.hidesQueue = true;
        faults.errorShare = 0.4;
        faults.emptyShare = 0.2;
        faults.truncateShare = 0.05;
      }),
    );
    scene.at(110, () => {
      const backend = scene.backends.get(`${ap}-llm-0`);
      if (backend !== undefined) scene.heal(backend);
    });
  },
  figures: (scene) => {
    const all = of(ap, began(scene, { from: 25, to: 110 }));
    const late = of(ap, began(scene, { from: 55, to: 110 }));
    return [
      { name: "complete", value: share(all, isComplete), unit: "", atLeast: 0.97 },
      {
        name: "refused",
        value: share(all, (each) => each.ending === "refused"),
        unit: "",
        atMost: 0.005,
      },
      {
        name: "served by it half a minute later",
        value: (servedBy(late).get(`${ap}-llm-0`) ?? 0) / late.length,
        unit: "",
        atMost: 0.05,
      },
    ];
  },
};

export const retryStorm: Scenario = {
  shows:
    "All servers fail for eight seconds at double load, and clients try again: calls stay within 1.1 per request, and ten seconds after it all is well.",
  seconds: 110,
  change: {
    // One proxy with as much to do as in the field: a budget's floor and burst are each proxy's own.
    proxies: 1,
    servers: { [us]: 15, [eu]: 1, [ap]: 1 },
    demand: { [us]: steady(easy * 8), [eu]: steady(easy / 10), [ap]: steady(easy / 10) },
  },
  script: (scene) => {
    scene.at(20, () => {
      storms.set(scene, { ...scene.checks.tally });
      for (const backend of scene.backends.values()) {
        scene.trouble(backend);
        backend.faults.errorShare = 1;
      }
    });
    scene.at(28, () => {
      const { requests, calls } = storms.get(scene) ?? scene.checks.tally;
      const { tally } = scene.checks;
      storms.set(scene, { requests: tally.requests - requests, calls: tally.calls - calls });
      for (const backend of scene.backends.values()) scene.heal(backend);
    });
  },
  figures: (scene) => {
    const { tally } = scene.checks;
    const storm = storms.get(scene);
    return [
      {
        name: "calls to servers per request",
        value: tally.calls / tally.requests,
        unit: "",
        atMost: 1.1,
      },
      // Bursts of the budgets are for this very moment.
      {
        name: "in the eight seconds alone",
        value: (storm?.calls ?? 0) / (storm?.requests ?? 0),
        unit: "",
      },
      {
        name: "recovered after the outage",
        value: recoveredAfter(scene, 28, { objectiveMs: 5_000 }),
        unit: "s",
        atMost: 10,
      },
      {
        name: "complete from ten seconds after it",
        value: share(began(scene, { from: 38, to: 110 }), isComplete),
        unit: "",
        atLeast: 0.995,
      },
    ];
  },
};

/** Requests and calls before a scene's storm, then within it. */
const storms = new WeakMap<Scene, { readonly requests: number; readonly calls: number }>();

export const hotPrefix: Scenario = {
  shows:
    "Suddenly six in ten sessions share one system prompt: caches are used, and no server is run over for it.",
  seconds: 140,
  change: {
    plan: { balance: "cache-aware" },
    session: {
      ...usualSession,
      systemTokens: 1_536,
      hotShare: (at) => (at > warmUpMs + 50_000 ? 0.6 : 0),
    },
  },
  script: () => undefined,
  figures: (scene) => {
    const hot = began(scene, { from: 70, to: 140 });
    const counts = scene.options.plan.regions.map(({ name }) => {
      const here = [...servedBy(hot.filter((each) => each.servedIn === name)).values()];
      const mean = here.reduce((sum, each) => sum + each, 0) / 3;
      return Math.max(...here) / mean;
    });
    const hit = (records: typeof hot): number =>
      records.reduce((sum, each) => sum + each.hitTokens, 0) /
      records.reduce((sum, each) => sum + each.request.inputTokens, 0);
    return [
      {
        name: "complete",
        value: share(began(scene, { from: 0, to: 140 }), isComplete),
        unit: "",
        atLeast: 0.9999,
      },
      {
        name: "prompt tokens found in caches before",
        value: hit(began(scene, { from: 20, to: 50 })),
        unit: "",
      },
      { name: "prompt tokens found in caches then", value: hit(hot), unit: "", atLeast: 0.5 },
      {
        name: "busiest server of a region to its mean",
        value: Math.max(...counts),
        unit: "ratio",
        atMost: 1.7,
      },
      { name: "p99 then", value: firstTokenQuantile(hot, 0.99), unit: "ms", atMost: 3_000 },
    ];
  },
};

export const diurnalLoad: Scenario = {
  shows:
    "Days of two minutes, eight hours apart: each region's peak is more than it bears, all together are not, and everybody is served.",
  seconds: 250,
  change: {
    demand: Object.fromEntries(
      [us, eu, ap].map((name, at) => [
        name,
        diurnal({ mean: easy * 1.5, swing: 4, dayMs: 120_000, shiftMs: at * 40_000 }),
      ]),
    ),
  },
  script: () => undefined,
  figures: (scene) => {
    const all = began(scene, { from: 0, to: 250 });
    return [
      { name: "complete", value: share(all, isComplete), unit: "", atLeast: 0.999 },
      { name: "served abroad", value: share(all, (each) => each.remote), unit: "", atMost: 0.4 },
      { name: "p90", value: firstTokenQuantile(all, 0.9), unit: "ms", atMost: 4_000 },
    ];
  },
};

function hit(
  scene: Scene,
  name: string,
  change: (backend: NonNullable<ReturnType<Scene["backends"]["get"]>>) => void,
): void {
  const backend = scene.backends.get(name);
  if (backend === undefined) return;
  scene.trouble(backend);
  change(backend);
}
