// Control planes and the store: gone, late, wrong about the time, on slow disks.

import type { Figure } from "@meridian/bench/report";
import type { Scene } from "../scene/scene.ts";
import { steady } from "../users/demand.ts";
import { began, firstTokenQuantile, isComplete, of, share } from "./measure.ts";
import { ap, easy, eu, type Scenario, us } from "./scenario.ts";

/** Seconds from a policy's commit to the last proxy's activation; Infinity: not before the end. */
class PolicySpread {
  #committedAt = Number.POSITIVE_INFINITY;
  readonly #appliedAt = new Map<string, number>();

  /** Applies another policy and follows it. */
  change(scene: Scene, weights: { readonly [server: string]: number }): void {
    this.#committedAt = scene.now;
    scene.applyPolicy(weights);
    scene.world.timeline.every(100, () => {
      for (const { node, held } of scene.proxies.values()) {
        const isNew = held?.version?.sequence === 2n;
        if (isNew && !this.#appliedAt.has(node.name)) this.#appliedAt.set(node.name, scene.now);
      }
    });
  }

  seconds(scene: Scene): number {
    if (this.#appliedAt.size < scene.proxies.size) return Number.POSITIVE_INFINITY;
    return (Math.max(...this.#appliedAt.values()) - this.#committedAt) / 1_000;
  }
}

/** Of a scene, while its scenario runs. */
const spreads = new WeakMap<Scene, PolicySpread>();

function follow(scene: Scene, at: number): void {
  const spread = new PolicySpread();
  spreads.set(scene, spread);
  scene.at(at, () => spread.change(scene, { [`${us}-llm-0`]: 0.5 }));
}

function spreadFigure(scene: Scene, atMost: number): Figure {
  const value = spreads.get(scene)?.seconds(scene) ?? Number.NaN;
  return { name: "policy from apply to the last proxy", value, unit: "s", atMost };
}

export const etcdLeaderLoss: Scenario = {
  shows:
    "The store's leader dies while a policy is applied: requests notice nothing, and the policy is everywhere within seconds of the election.",
  seconds: 120,
  script: (scene) => {
    scene.at(30, () => {
      const leader = scene.store.leader();
      leader?.node.crash(true);
      scene.at(90, () => {
        leader?.node.revive();
        leader?.start();
      });
    });
    follow(scene, 31);
  },
  figures: (scene) => [
    {
      name: "complete",
      value: share(began(scene, { from: 0, to: 120 }), isComplete),
      unit: "",
      atLeast: 1,
    },
    spreadFigure(scene, 20),
  ],
};

export const controlPlanesGone: Scenario = {
  shows:
    "All control planes and the whole store are gone for two minutes; proxies restart and a server dies meanwhile: no request fails for it.",
  seconds: 170,
  script: (scene) => {
    scene.at(20, () => {
      for (const control of scene.controls.values()) control.node.crash();
      for (const member of scene.store.members) member.node.crash();
    });
    // A restart empties its exchanges: what is cut there is the restart's, so it happens between two users' requests.
    scene.at(60, () => restartWhenIdle(scene, `${eu}-proxy-0`));
    scene.at(70, () => restartWhenIdle(scene, `${us}-proxy-1`));
    scene.at(80, () => {
      const backend = scene.backends.get(`${ap}-llm-1`);
      if (backend === undefined) return;
      scene.trouble(backend);
      backend.faults.isRefusing = true;
    });
    scene.at(110, () => {
      const backend = scene.backends.get(`${ap}-llm-1`);
      if (backend !== undefined) scene.heal(backend);
    });
    scene.at(140, () => {
      for (const member of scene.store.members) {
        member.node.revive();
        member.start();
      }
      for (const control of scene.controls.values()) scene.reviveControl(control);
    });
  },
  figures: (scene) => {
    const all = began(scene, { from: 0, to: 170 });
    const restarted = all.filter((each) => each.ending === "broken").length;
    return [
      {
        name: "refused or unheard",
        value: share(all, (e) => e.ending === "refused" || e.ending === "unheard"),
        unit: "",
        atMost: 0,
      },
      // Streams that two proxies had under way when they were restarted.
      { name: "broken by restarts", value: restarted, unit: "requests", atMost: 60 },
      {
        name: "p99",
        value: firstTokenQuantile(began(scene, { from: 20, to: 140 }), 0.99),
        unit: "ms",
        atMost: 3_000,
      },
    ];
  },
};

function restartWhenIdle(scene: Scene, name: string): void {
  const proxy = scene.proxies.get(name);
  proxy?.node.crash();
  scene.world.timeline.after(3_000, () => {
    if (proxy !== undefined) scene.reviveProxy(proxy);
  });
}

export const digestDelay: Scenario = {
  shows:
    "What regions tell each other comes fifteen seconds late and more while one of them is overrun: the surplus finds its place and nobody else suffers.",
  seconds: 120,
  change: { demand: { [eu]: steady(easy * 2.8), [ap]: steady(easy * 0.4) } },
  script: (scene) => {
    for (const control of scene.controls.values()) control.store.commitDelayMs = 15_000;
  },
  figures: (scene) => {
    const full = of(eu, began(scene, { from: 40, to: 120 }));
    return [
      {
        name: "complete",
        value: share(began(scene, { from: 0, to: 120 }), isComplete),
        unit: "",
        atLeast: 0.999,
      },
      {
        name: "of the overrun region served abroad",
        value: share(full, (each) => each.remote),
        unit: "",
      },
      {
        name: "p99 of other regions' users",
        value: firstTokenQuantile(of(us, began(scene, { from: 0, to: 120 })), 0.99),
        unit: "ms",
        atMost: 5_000,
      },
    ];
  },
};

export const clockSkew: Scenario = {
  shows:
    "Clocks of machines disagree by half a minute and run at different speeds: nobody looks dead, and a drain still ends.",
  seconds: 180,
  change: {
    skew: (node) => {
      const sign = node.includes(us) ? 1 : node.includes(eu) ? -1 : 0;
      return { wallMs: sign * 30_000, rate: 1 + sign * 0.0005 };
    },
  },
  script: (scene) => {
    scene.at(30, () => scene.drainRegion(ap, 60));
  },
  figures: (scene) => {
    const oldest = Math.max(...[...scene.controls.values()].map((each) => each.oldestSignMs()));
    return [
      {
        name: "complete",
        value: share(began(scene, { from: 0, to: 180 }), isComplete),
        unit: "",
        atLeast: 0.9999,
      },
      { name: "oldest sign of life at the end", value: oldest / 1_000, unit: "s", atMost: 5 },
      {
        name: "served in the drained region after it",
        value: share(of(ap, began(scene, { from: 130, to: 180 })), (each) => each.servedIn === ap),
        unit: "",
        atLeast: 0.5,
      },
    ];
  },
};

export const staleMember: Scenario = {
  shows:
    "A member of the store follows its leader but applies nothing, and says that all is well: its watchers notice and a policy reaches every proxy.",
  seconds: 120,
  script: (scene) => {
    const stuck = () => scene.store.members.filter((each) => each.node.region === eu);
    scene.at(20, () => {
      for (const member of stuck()) member.isStuck = true;
    });
    follow(scene, 30);
    scene.at(90, () => {
      for (const member of stuck()) member.unstick();
    });
  },
  figures: (scene) => [
    {
      name: "complete",
      value: share(began(scene, { from: 0, to: 120 }), isComplete),
      unit: "",
      atLeast: 1,
    },
    // The reference's nine seconds to notice, and a few for the way round.
    spreadFigure(scene, 30),
  ],
};

export const slowDisk: Scenario = {
  shows:
    "Disks take most of a second for a write, and one proxy's hangs: policy comes late but comes, and a restart goes on from what is there.",
  seconds: 130,
  script: (scene) => {
    scene.at(10, () => {
      for (const member of scene.store.members) member.diskMs = 800;
      const proxy = scene.proxies.get(`${eu}-proxy-1`);
      if (proxy !== undefined) proxy.isDiskStuck = true;
    });
    follow(scene, 30);
    scene.at(60, () => restartWhenIdle(scene, `${eu}-proxy-1`));
    scene.at(100, () => {
      for (const member of scene.store.members) member.diskMs = 2;
    });
  },
  figures: (scene) => {
    const all = began(scene, { from: 0, to: 130 });
    return [
      {
        name: "refused or unheard",
        value: share(all, (e) => e.ending === "refused" || e.ending === "unheard"),
        unit: "",
        atMost: 0,
      },
      spreadFigure(scene, 30),
    ];
  },
};
