/** Numbers as a person reads them. `-` stands for "there is none". */

export const NONE = "-";

const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 12345 → `12,345`. */
export function countText(count: number): string {
  return GROUPED.format(count);
}

/** `1 frame`, `12,345 frames`. */
export function countOf(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? "" : "s"}`;
}

const TIME_UNITS = [
  { unit: "ns", ns: 1 },
  { unit: "µs", ns: 1e3 },
  { unit: "ms", ns: 1e6 },
  { unit: "s", ns: 1e9 },
] as const;

/** Three significant digits and the unit that fits: 123456 → `123 µs`. */
export function timeText(ns: number | null): string {
  if (ns === null) return NONE;
  if (ns === 0) return "0";
  let size: (typeof TIME_UNITS)[number] = TIME_UNITS[0];
  // Rounding may lift a time into the next unit: 999.6 µs is 1.00 ms.
  for (const candidate of TIME_UNITS) if (roundedTo3(ns / candidate.ns) >= 1) size = candidate;
  const value = roundedTo3(ns / size.ns);
  if (size.unit === "s" && value >= 1000) return `${countText(value)} s`;
  return `${value >= 100 || size.unit === "ns" ? value : value.toPrecision(3)} ${size.unit}`;
}

/** 0.1234 → `12.3 %`. */
export function shareText(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function roundedTo3(value: number): number {
  return Number(value.toPrecision(3));
}
