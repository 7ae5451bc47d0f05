// `npm run watch:cuts`: does a watch on real etcd lose an event when its connections are cut, its member falls silent,
// or history is compacted under it? Options: --cuts N, --short, --json (the last line is JSON), --seed TEXT.

import { parseArgs } from "node:util";
import { seededRandom } from "@meridian/proto/base";
import { type Figure, figuresAsJson, formatFigures, holds } from "./report/figures.ts";
import { backlogCuts } from "./watch-cuts/backlog-cuts.ts";
import { isolateInTurn, isolations } from "./watch-cuts/isolation.ts";
import { randomCuts } from "./watch-cuts/random-cuts.ts";

/** A member that falls silent is noticed within this time (design 4; multiregion 2.6). */
const noticedMsMax = 10_000;

const { values: options } = parseArgs({
  options: {
    cuts: { type: "string" },
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    seed: { type: "string", default: "watch-cuts" },
  },
});
const isShort = options.short;
const cuts = Number(options.cuts ?? (isShort ? 600 : 10_000));
if (!Number.isInteger(cuts) || cuts < 1) {
  console.error("watch:cuts: --cuts takes a whole number from 1 on");
  process.exit(2);
}
const random = seededRandom(options.seed);

// The short form runs side by side what the full form runs in turn: its figures are for passing, not for quoting.
const parts = [oneMember, threeMembers, backlog, silence];
const figures: Figure[] = [];
if (isShort) {
  figures.push(...(await Promise.all(parts.map((part) => part()))).flat());
} else {
  for (const part of parts) figures.push(...(await part()));
}
const hold = figures.every(holds);
console.log(hold ? "every bar holds" : "a bar does not hold");
if (options.json) console.log(figuresAsJson("watch-cuts", figures));
process.exit(hold ? 0 : 1);

function oneMember(): Promise<readonly Figure[]> {
  return cutAtRandom(1);
}

function threeMembers(): Promise<readonly Figure[]> {
  return cutAtRandom(3);
}

async function cutAtRandom(members: 1 | 3): Promise<readonly Figure[]> {
  const share = Math.ceil(cuts / 2);
  const result = await randomCuts({
    members,
    cuts: share,
    watchers: isShort ? 16 : 64,
    random: random.fork(`random-${members}`),
    timeoutMs: isShort ? 45_000 : 600_000,
  });
  for (const example of result.examples) console.log(example);
  const name = members === 1 ? "one member" : "three members";
  return show(`random cuts, ${name} (${Math.round(result.seconds)} s)`, [
    { name: `${name}: cuts`, value: result.cuts, unit: "", atLeast: share },
    { name: `${name}: interruptions told`, value: result.interruptions, unit: "" },
    { name: `${name}: events written`, value: result.events, unit: "", atLeast: 100 },
    { name: `${name}: events told to watches`, value: result.told, unit: "" },
    { name: `${name}: lost`, value: result.lost, unit: "events", atMost: 0 },
    { name: `${name}: repeated`, value: result.repeated, unit: "events", atMost: 0 },
    { name: `${name}: invented`, value: result.invented, unit: "events", atMost: 0 },
    { name: `${name}: out of order`, value: result.misplaced, unit: "events", atMost: 0 },
    { name: `${name}: watches that ended`, value: result.ended, unit: "", atMost: 0 },
    { name: `${name}: lost by the server itself`, value: result.lostByServer, unit: "events" },
  ]);
}

async function backlog(): Promise<readonly Figure[]> {
  const result = await backlogCuts({
    random: random.fork("backlog"),
    points: isShort ? 5 : 63,
    compactions: isShort ? 2 : 20,
  });
  return show("cuts within a backlog of 4,000 revisions, sent in batches of 1,000", [
    { name: "backlog: points cut at", value: result.cuts, unit: "" },
    { name: "backlog: not equal to what was written", value: result.wrong, unit: "", atMost: 0 },
    { name: "compaction: cuts with one in between", value: result.compactions, unit: "" },
    { name: "compaction: listed again", value: result.relists, unit: "", atLeast: 1 },
    { name: "compaction: mirror not equal", value: result.unequal, unit: "", atMost: 0 },
  ]);
}

async function silence(): Promise<readonly Figure[]> {
  const turns = isShort ? isolations.slice(0, 1) : [...isolations, ...isolations, ...isolations];
  const results = await isolateInTurn(turns, random.fork("silence"));
  const figures = isolations.slice(0, isShort ? 1 : undefined).flatMap(({ name }): Figure[] => {
    const same = results.filter((each) => each.name === name);
    // Math.max of a NaN is NaN, which holds no bar.
    const worst = (of: (each: (typeof same)[number]) => number) => Math.max(...same.map(of));
    return [
      {
        name: `${name}: noticed after, worst of ${same.length}`,
        value: worst((each) => each.noticedMs),
        unit: "ms",
        atMost: noticedMsMax,
      },
      {
        name: `${name}: served again after, worst`,
        value: worst((each) => each.servedMs),
        unit: "ms",
      },
      { name: `${name}: events wrong`, value: worst((each) => each.wrong), unit: "", atMost: 0 },
    ];
  });
  return show("a member falls silent, its sockets open", figures);
}

function show(title: string, figures: readonly Figure[]): readonly Figure[] {
  console.log(formatFigures(title, figures));
  return figures;
}
