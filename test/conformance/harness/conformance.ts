/**
 * How conformance tests are written: `conformance(title, ids, body)` makes one test of each combination. A test without
 * ids holds what the standard describes in a section that has no normative sentence.
 */

import { afterAll, type TaskMeta, test } from "vitest";
import { CLAUSES } from "./clauses.ts";
import type { CardOptions } from "./device-host.mjs";
import {
  type Combination,
  DeviceUnderTest,
  type PlaceKind,
  type RingKind,
  type TransportKind,
} from "./device-under-test.ts";
import { OtherThread, type Place, SameThread } from "./places.ts";

declare module "vitest" {
  interface TaskMeta {
    /** Clauses that the test checks. */
    clauses?: readonly string[];
    /** Its title without the combination. */
    title?: string;
  }
}

/** Where a clause makes sense (default: everywhere), and what card it needs. */
export interface ConformanceOptions {
  readonly rings?: readonly RingKind[];
  readonly transports?: readonly TransportKind[];
  readonly places?: readonly PlaceKind[];
  readonly card?: CardOptions;
}

const RINGS: readonly RingKind[] = ["split", "packed"];
const TRANSPORTS: readonly TransportKind[] = ["MMIO", "PCI"];
const PLACES: readonly PlaceKind[] = ["same thread", "other thread"];
/** More would make it unclear what a test holds. */
const CLAUSES_MAX = 3;

// One of each per test file: a test gets a new card in it.
let sameThread: SameThread | null = null;
let otherThread: OtherThread | null = null;

function placeOf(kind: PlaceKind): Place {
  if (kind === "same thread") {
    sameThread ??= new SameThread();
    return sameThread;
  }
  otherThread ??= new OtherThread();
  return otherThread;
}

afterAll(() => otherThread?.close());

type Body = (dut: DeviceUnderTest) => void;

export function conformance(title: string, clauses: readonly string[], body: Body): void;
export function conformance(title: string, clauses: readonly string[], options: ConformanceOptions, body: Body): void;
export function conformance(
  title: string,
  clauses: readonly string[],
  optionsOrBody: ConformanceOptions | Body,
  bodyOrNothing?: Body,
): void {
  const options = typeof optionsOrBody === "function" ? {} : optionsOrBody;
  const body = typeof optionsOrBody === "function" ? optionsOrBody : bodyOrNothing!;
  checkClauses(title, clauses);
  for (const combination of combinationsOf(options)) {
    const { ring, transport, place } = combination;
    const where = `${ring}, ${transport}, ${place}`;
    test(`${title} [${clauses.length > 0 ? `${clauses.join(", ")}; ` : ""}${where}]`, ({ task }) => {
      const meta: TaskMeta = task.meta;
      meta.clauses = clauses;
      meta.title = title;
      body(new DeviceUnderTest(combination, placeOf(place), options.card ?? {}));
    });
  }
}

function checkClauses(title: string, clauses: readonly string[]): void {
  if (clauses.length > CLAUSES_MAX) {
    throw new RangeError(`"${title}" names ${clauses.length} clauses; allowed are at most ${CLAUSES_MAX}`);
  }
  for (const id of clauses) {
    const clause = CLAUSES.get(id);
    if (clause === undefined) throw new RangeError(`"${title}" names ${id}, which clauses.json has not`);
    if (clause.notApplicable !== undefined) throw new RangeError(`"${title}" names ${id}: ${clause.notApplicable}`);
  }
}

function combinationsOf({ rings = RINGS, transports, places = PLACES }: ConformanceOptions): Combination[] {
  return rings.flatMap((ring) =>
    (transports ?? TRANSPORTS)
      .filter((transport) => TRANSPORTS.includes(transport))
      .flatMap((transport) => places.map((place) => ({ ring, transport, place }))),
  );
}
