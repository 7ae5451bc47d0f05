// Whole regions and the ways between them: lost, cut, drained, full, coming back.

import type { RequestRecord } from "../kernel/request.ts";
import { warmUpMs } from "../scene/scene.ts";
import { steady } from "../users/demand.ts";
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

export const regionLoss: Scenario = {
  shows:
    "A region dies without a word and comes back: its users move with GeoDNS, the others notice nothing, and nothing is lost twice.",
  seconds: 210,
  script: (scene) => {
    scene.at(30, () => scene.loseRegion(eu));
    scene.at(150, () => scene.restoreRegion(eu));
  },
  figures: (scene) => {
    const all = began(scene, { from: 0, to: 210 });
    const others = [...of(us, all), ...of(ap, all)];
    // Three failed checks of 5 s, 30 s of TTL; resolvers that ignore it stay behind.
    const moved = of(eu, began(scene, { from: 85, to: 105 }));
    return [
      { name: "others complete", value: share(others, isComplete), unit: "", atLeast: 0.995 },
      {
        name: "eu users complete once GeoDNS moved",
        value: share(moved, isComplete),
        unit: "",
        atLeast: 0.75,
      },
      {
        name: "eu users served elsewhere then",
        value: share(moved.filter(isComplete), (each) => each.servedIn !== eu),
        unit: "",
        atLeast: 0.999,
      },
      {
        name: "eu users complete after the return",
        value: share(of(eu, began(scene, { from: 180, to: 210 })), isComplete),
        unit: "",
        atLeast: 0.99,
      },
    ];
  },
};

export const asymmetricPartition: Scenario = {
  shows:
    "One direction of one way is cut while a region spills over it: requests go by the other way, none is stuck, none is lost.",
  seconds: 150,
  change: { demand: { [eu]: steady(easy * 3.4), [ap]: steady(easy * 0.4) } },
  script: (scene) => {
    scene.at(50, () => scene.net.cut(eu, us));
    scene.at(110, () => scene.net.mend(eu, us));
  },
  figures: (scene) => {
    const all = began(scene, { from: 0, to: 150 });
    const cut = of(eu, began(scene, { from: 65, to: 108 }));
    return [
      { name: "complete", value: share(all, isComplete), unit: "", atLeast: 0.995 },
      {
        name: "eu users served in us while it is cut",
        value: share(cut, (each) => each.servedIn === us),
        unit: "",
        atMost: 0.001,
      },
      {
        name: "served abroad before",
        value: share(of(eu, began(scene, { from: 25, to: 50 })), (each) => each.remote),
        unit: "",
      },
      { name: "p99 of eu users while it is cut", value: firstTokenQuantile(cut, 0.99), unit: "ms" },
    ];
  },
};

export const drainedRegion: Scenario = {
  shows:
    "An operator drains a region for a minute: within two seconds nothing new runs there, nobody notices, and it returns by itself.",
  seconds: 200,
  script: (scene) => {
    scene.at(30, () => scene.drainRegion(eu, 60));
  },
  figures: (scene) => {
    const all = began(scene, { from: 0, to: 200 });
    const drained = began(scene, { from: 33, to: 88 });
    return [
      { name: "complete", value: share(all, isComplete), unit: "", atLeast: 0.9999 },
      {
        name: "served there while it is drained",
        value: share(drained, (each) => each.servedIn === eu),
        unit: "",
        atMost: 0,
      },
      {
        name: "eu users served at home after it",
        value: share(of(eu, began(scene, { from: 150, to: 200 })), (each) => each.servedIn === eu),
        unit: "",
        atLeast: 0.5,
      },
      {
        name: "p99 while it is drained",
        value: firstTokenQuantile(drained, 0.99),
        unit: "ms",
        atMost: 4_000,
      },
    ];
  },
};

export const twoRegionsFull: Scenario = {
  shows:
    "Two regions are asked for more than they bear and a third idles: load moves there without swinging to and fro.",
  seconds: 130,
  change: {
    demand: { [us]: steady(easy * 2.4), [eu]: steady(easy * 2.4), [ap]: steady(easy * 0.25) },
  },
  script: () => undefined,
  figures: (scene) => {
    const all = began(scene, { from: 0, to: 130 });
    const full = began(scene, { from: 40, to: 130 });
    const asked = [...of(us, full), ...of(eu, full)];
    return [
      { name: "complete", value: share(all, isComplete), unit: "", atLeast: 0.999 },
      {
        name: "of the full regions served abroad",
        value: share(asked, (each) => each.remote),
        unit: "",
      },
      {
        name: "of those between the two full ones",
        value: share(
          asked.filter((each) => each.remote),
          (each) => each.servedIn !== ap,
        ),
        unit: "",
        atMost: 0.25,
      },
      {
        name: "swings of the share served abroad",
        value: swings(asked),
        unit: "a minute",
        atMost: 8,
      },
      {
        name: "p99 of the idle region's own",
        value: firstTokenQuantile(of(ap, full), 0.99),
        unit: "ms",
        atMost: 5_000,
      },
    ];
  },
};

/** How often the share served abroad turns round by more than a fifth of all, over 5 s windows. */
function swings(records: readonly RequestRecord[]): number {
  const windows: number[] = [];
  for (let from = 40; from < 130; from += 5) {
    const within = records.filter(({ request }) => {
      const second = (request.at - warmUpMs) / 1_000;
      return second >= from && second < from + 5;
    });
    windows.push(share(within, (each) => each.remote));
  }
  let turns = 0;
  let high = windows[0] ?? 0;
  let low = high;
  let direction = 0;
  for (const each of windows) {
    high = Math.max(high, each);
    low = Math.min(low, each);
    if (direction >= 0 && high - each > 0.2) {
      turns += 1;
      direction = -1;
      low = each;
      high = each;
    } else if (direction <= 0 && each - low > 0.2) {
      turns += 1;
      direction = 1;
      low = each;
      high = each;
    }
  }
  return turns / 1.5;
}

export const thunderingReturn: Scenario = {
  shows:
    "A pool that was gone comes back to waiting users: it proves itself first and takes its load step by step.",
  seconds: 270,
  change: { demand: { [eu]: steady(easy * 1.3) } },
  script: (scene) => {
    scene.at(30, () => {
      for (const backend of scene.serversOf(eu)) {
        scene.trouble(backend);
        backend.crash();
      }
    });
    scene.at(90, () => {
      for (const backend of scene.serversOf(eu)) scene.heal(backend);
    });
  },
  figures: (scene) => {
    const all = began(scene, { from: 0, to: 270 });
    const back = began(scene, { from: 90, to: 270 });
    return [
      { name: "complete", value: share(all, isComplete), unit: "", atLeast: 0.97 },
      {
        name: "complete after the return",
        value: share(back, isComplete),
        unit: "",
        atLeast: 0.999,
      },
      {
        name: "p99 after the return",
        value: firstTokenQuantile(back, 0.99),
        unit: "ms",
        atMost: 5_000,
      },
      {
        name: "eu users served at home at the end",
        value: share(of(eu, began(scene, { from: 250, to: 270 })), (each) => each.servedIn === eu),
        unit: "",
      },
      {
        name: "recovered after the loss",
        value: recoveredAfter(scene, 30, { objectiveMs: 4_000 }),
        unit: "s",
        atMost: 20,
      },
    ];
  },
};

export const residencyBound: Scenario = {
  shows:
    "A tenant bound to one region is refused while that region can't answer, and its requests are seen nowhere else.",
  seconds: 150,
  change: {
    plan: {
      tenants: [
        { name: "acme", residency: [] },
        { name: "bolt", residency: [eu] },
      ],
    },
    tenants: [
      { tenant: "acme", model: "llama-8b", share: 0.7 },
      { tenant: "bolt", model: "llama-8b", share: 0.3 },
    ],
  },
  script: (scene) => {
    scene.at(30, () => {
      for (const backend of scene.serversOf(eu)) {
        scene.trouble(backend);
        backend.crash();
      }
    });
    scene.at(80, () => {
      for (const backend of scene.serversOf(eu)) scene.heal(backend);
    });
  },
  figures: (scene) => {
    const bolt = began(scene, { from: 0, to: 150 }).filter((e) => e.request.tenant === "bolt");
    const during = began(scene, { from: 34, to: 76 });
    const [bound, free] = [true, false].map((isBound) =>
      during.filter((each) => (each.request.tenant === "bolt") === isBound),
    );
    const elsewhere = [...servedBy(bolt).keys()].filter((each) => !each.startsWith(eu)).length;
    return [
      { name: "servers of other regions that saw it", value: elsewhere, unit: "", atMost: 0 },
      {
        name: "bound requests refused while it is down",
        value: share(bound ?? [], (each) => each.ending === "refused"),
        unit: "",
        atLeast: 0.95,
      },
      {
        name: "others complete meanwhile",
        value: share(free ?? [], isComplete),
        unit: "",
        atLeast: 0.99,
      },
      {
        name: "bound requests complete at the end",
        value: share(
          began(scene, { from: 130, to: 150 }).filter((e) => e.request.tenant === "bolt"),
          isComplete,
        ),
        unit: "",
        atLeast: 0.99,
      },
    ];
  },
};
