// What is judged of the comparison, from the rows of one run.

import type { Figure } from "../report/figures.ts";
import { difference, type Row, ratio } from "./measure.ts";

const processorRatioMax = 1.5;
/** A run of a few seconds among other work tells what is absurd, and no more. */
const processorRatioShortMax = 2.5;
const peerThroughputRatioMin = 8;
const firstTokenAddedP50MsMax = 1;
const firstTokenAddedP99MsMax = 5;

export function comparisonFigures(rows: readonly Row[], isShort: boolean): readonly Figure[] {
  const names = [...new Set(rows.map((row) => row.workload))];
  return names.flatMap((name) => {
    const ofOne = rows.filter((row) => row.workload === name);
    const find = (subject: string) => ofOne.find((row) => row.subject === subject);
    const [meridian, bare, direct] = ["Meridian", "bare forwarder", "direct"].map(find);
    if (meridian === undefined || bare === undefined || direct === undefined) return [];
    const others = ofOne.filter((row) => ![meridian, bare, direct].includes(row));
    return [
      processorFigure(meridian, bare, isShort),
      ...others.flatMap((other) => otherFigures(meridian, other)),
      ...(Number.isNaN(meridian.firstTokenP50Ms)
        ? []
        : firstTokenFigures(meridian, { bare, direct }, isShort)),
    ];
  });
}

function processorFigure(meridian: Row, bare: Row, isShort: boolean): Figure {
  const atMost = isShort ? processorRatioShortMax : processorRatioMax;
  return {
    name: `${meridian.workload}: processor time, ratio to the bare forwarder`,
    value: ratio(meridian, bare, (each) => each.processorUs),
    unit: "",
    ...(isWhole(meridian) ? { atMost } : {}),
  };
}

function otherFigures(meridian: Row, other: Row): readonly Figure[] {
  const { workload } = meridian;
  const isJudged = other.subject === "Portkey" && isWhole(meridian) && workload.endsWith("c=32");
  return [
    {
      name: `${workload}: processor time, ratio to ${other.subject}`,
      value: ratio(meridian, other, (each) => each.processorUs),
      unit: "",
    },
    {
      name: `${workload}: requests per second, ratio to ${other.subject}`,
      value: ratio(meridian, other, (each) => each.perSecond),
      unit: "",
      ...(isJudged ? { atLeast: peerThroughputRatioMin } : {}),
    },
  ];
}

function firstTokenFigures(
  meridian: Row,
  over: { readonly bare: Row; readonly direct: Row },
  isShort: boolean,
): readonly Figure[] {
  const figure = (name: string, value: number, atMost?: number): Figure => ({
    name: `${meridian.workload}: first token added over ${name}`,
    value,
    unit: "ms",
    ...(isShort || atMost === undefined ? {} : { atMost }),
  });
  const p50 = (than: Row) => difference(meridian, than, (each) => each.firstTokenP50Ms);
  const p99 = (than: Row) => difference(meridian, than, (each) => each.firstTokenP99Ms);
  return [
    figure("the bare forwarder, p50", p50(over.bare), firstTokenAddedP50MsMax),
    figure("the bare forwarder, p99", p99(over.bare), firstTokenAddedP99MsMax),
    figure("direct, p50", p50(over.direct)),
    figure("direct, p99", p99(over.direct)),
  ];
}

function isWhole(row: Row): boolean {
  return row.workload.startsWith("whole answers");
}
