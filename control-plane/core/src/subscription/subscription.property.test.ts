// Many proxies on one control plane, in any order of events: all end up with the newest snapshot that they accept.

import { create } from "@bufbuild/protobuf";
import { problem } from "@meridian/proto/base";
import { VersionSchema } from "@meridian/proto/gen/snapshot_pb";
import { compareVersions } from "@meridian/proto/snapshot";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createPacing } from "./pacing.ts";
import {
  openSubscription,
  type SnapshotRef,
  type Subscription,
  type SubscriptionEvent,
  stepSubscription,
} from "./subscription.ts";

const places = 2;

/** A proxy as the control plane should see it: it holds something, and answers pushes one by one. */
type Proxy = {
  readonly id: string;
  state: Subscription;
  held: SnapshotRef | undefined;
  readonly refused: Set<string>;
  /** Pushes that it has not answered. */
  readonly inbox: { fromHash: string; to: SnapshotRef }[];
};

function createWorld(count: number, isBad: (hash: string) => boolean) {
  const pacing = createPacing(places);
  let newest: SnapshotRef | undefined;
  const kept = new Set<string>();
  const proxies: Proxy[] = Array.from({ length: count }, (_, at) => connect(`p${at}`, undefined));

  function connect(id: string, held: SnapshotRef | undefined): Proxy {
    return { id, held, state: openSubscription(0, newest), refused: new Set(), inbox: [] };
  }

  function feed(proxy: Proxy, event: SubscriptionEvent): void {
    const { state, commands } = stepSubscription(proxy.state, event, {
      now: 0,
      holds: (hash) => kept.has(hash),
    });
    proxy.state = state;
    for (const command of commands) {
      if (command.kind === "push") takePush(proxy, command);
      else if (command.kind === "enter") {
        if (pacing.enter(proxy.id)) feed(proxy, { kind: "entered" });
      } else if (command.kind === "leave") leave(proxy.id);
      else expect.fail(`closed: ${command.reason}`);
    }
  }

  function leave(id: string): void {
    const next = pacing.leave(id);
    const proxy = proxies.find((each) => each.id === next);
    if (proxy !== undefined) feed(proxy, { kind: "entered" });
  }

  function takePush(proxy: Proxy, push: { fromHash: string; to: SnapshotRef }): void {
    // At most one push is unanswered; what was refused never comes again; nothing goes backwards.
    expect(proxy.inbox).toEqual([]);
    expect(proxy.refused).not.toContain(push.to.hash);
    if (push.fromHash !== "") expect(push.fromHash).toBe(proxy.held?.hash);
    if (proxy.held !== undefined) {
      expect(compareVersions(push.to.version, proxy.held.version)).toBeGreaterThanOrEqual(0);
    }
    expect(pacing.underWay()).toBeLessThanOrEqual(places);
    proxy.inbox.push(push);
  }

  return {
    proxies,
    pacing,
    newest: () => newest,
    greet: (proxy: Proxy) => {
      if (proxy.state.phase.kind === "greeting") feed(proxy, { kind: "hello", held: proxy.held });
    },
    publish: (hash: string) => {
      const sequence = (newest?.version.sequence ?? 0n) + 1n;
      newest = { version: create(VersionSchema, { epoch: 1n, sequence }), hash };
      kept.add(hash);
      for (const each of proxies) feed(each, { kind: "published", snapshot: newest });
    },
    forget: () => kept.clear(),
    answer: (proxy: Proxy) => {
      const push = proxy.inbox.shift();
      if (push === undefined) return;
      const { version, hash } = push.to;
      if (isBad(hash)) {
        proxy.refused.add(hash);
        const problems = [problem("unfit", "", "no")];
        feed(proxy, { kind: "nack", version, problems });
      } else {
        proxy.held = push.to;
        feed(proxy, { kind: "ack", version, hash });
      }
    },
    reconnect: (proxy: Proxy) => {
      leave(proxy.id);
      Object.assign(proxy, connect(proxy.id, proxy.held));
    },
  };
}

const moves = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("answer" as const), at: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("greet" as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("publish" as const), at: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reconnect" as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget" as const), at: fc.nat() }) },
);

test("in any order of events every proxy ends with the newest snapshot, or has refused it", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.array(moves, { maxLength: 80 }),
      (count, list) => {
        const isBad = (hash: string) => hash === "h5";
        const world = createWorld(count, isBad);
        for (const { kind, at } of list) {
          const proxy = world.proxies[at % count];
          if (kind === "publish") world.publish(`h${at}`);
          else if (kind === "forget") world.forget();
          else if (proxy !== undefined) world[kind](proxy);
        }
        // Then everybody comes and answers everything.
        for (const proxy of world.proxies) world.greet(proxy);
        for (let round = 0; round < 4 * count; round++) world.proxies.forEach(world.answer);
        for (const proxy of world.proxies) {
          expect(proxy.inbox).toEqual([]);
          const newest = world.newest();
          if (newest !== undefined && !isBad(newest.hash)) expect(proxy.held).toEqual(newest);
          if (proxy.held !== undefined) expect(isBad(proxy.held.hash)).toBe(false);
        }
        expect([world.pacing.underWay(), world.pacing.waiting()]).toEqual([0, 0]);
      },
    ),
    { numRuns: 500 },
  );
});

test("places are given in the order of asking, each once, and never more than there are", () => {
  const steps = fc.array(fc.tuple(fc.constantFrom("enter", "leave"), fc.nat(9)), {
    maxLength: 100,
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), steps, (size, list) => {
      const pacing = createPacing(size);
      let inside: string[] = [];
      let queue: string[] = [];
      for (const [kind, at] of list) {
        const id = `p${at}`;
        if (kind === "enter") {
          const isInside = inside.includes(id) || inside.length < size;
          expect(pacing.enter(id)).toBe(isInside);
          if (isInside && !inside.includes(id)) inside.push(id);
          if (!isInside && !queue.includes(id)) queue.push(id);
        } else {
          const next = inside.includes(id) ? queue[0] : undefined;
          expect(pacing.leave(id)).toBe(next);
          inside = [...inside.filter((each) => each !== id), ...(next === undefined ? [] : [next])];
          queue = queue.filter((each) => each !== id && each !== next);
        }
        expect([pacing.underWay(), pacing.waiting()]).toEqual([inside.length, queue.length]);
      }
    }),
  );
});
