/**
 * Finds plain accesses that no Atomics order: the assumption under which exploring the Atomics accesses alone is enough.
 * Views are wrapped so that every plain access is seen; vector clocks follow the order that the Atomics make (a load that
 * sees a store comes after all that was before the store). Two accesses of one byte by different sides, one of them a
 * store and not both Atomics, are a race if neither comes before the other.
 */

import type { AnyView } from "./ring-world.ts";
import { CODE } from "./side.ts";

const READ = 0;
const WRITE = 1;
const ATOMIC = 2;
const KINDS = 4;
const KIND_NAMES = ["plain load", "plain store", "Atomics load", "Atomics store"];

export class RaceWatch {
  /** What raced, as `where: what by whom, what by whom`. */
  readonly races = new Set<string>();
  readonly #sides: readonly string[];
  readonly #nameOf: (offset: number) => string;
  readonly #memoryBytes: number;
  #isLive: () => boolean = () => false;
  /** For each side, how far it has followed every side; its own entry counts its stores by Atomics. */
  #clocks: number[][] = [];
  /** What the last Atomics store to an offset has passed on. */
  readonly #released = new Map<number, readonly number[]>();
  /** Own clock of a side at its last access of a kind to a byte, 0 = none. */
  readonly #last: Int32Array;

  constructor(memoryBytes: number, sides: readonly string[], nameOf: (offset: number) => string) {
    this.#memoryBytes = memoryBytes;
    this.#sides = sides;
    this.#nameOf = nameOf;
    this.#last = new Int32Array(memoryBytes * sides.length * KINDS);
  }

  begin(isLive: () => boolean): void {
    this.#isLive = isLive;
    const count = this.#sides.length;
    this.#clocks = this.#sides.map((_, side) => Array.from({ length: count }, (_, other) => (other === side ? 1 : 0)));
    this.#released.clear();
    this.#last.fill(0);
  }

  atomic(side: number, code: number, offset: number, bytes: number): void {
    if (code === CODE.NOTIFY) return;
    const clock = this.#clocks[side]!;
    const stores = code !== CODE.LOAD && code !== CODE.WAIT;
    if (code !== CODE.STORE) {
      const released = this.#released.get(offset);
      released?.forEach((time, other) => {
        clock[other] = Math.max(clock[other]!, time);
      });
    }
    this.#access(side, offset, bytes, ATOMIC | (stores ? WRITE : READ));
    if (!stores) return;
    this.#released.set(offset, [...clock]);
    clock[side]!++;
  }

  /** Stands in for `view` in the code of `side`, and sees every plain access. */
  watched<V extends AnyView>(view: V, side: string): V {
    const index = this.#sides.indexOf(side);
    const { byteOffset, BYTES_PER_ELEMENT: bytes } = view;
    const see = (element: number, count: number, kind: number): void => {
      if (this.#isLive()) this.#access(index, byteOffset + element * bytes, count * bytes, kind);
    };
    return new Proxy<AnyView>(view, {
      get: (target, key) => {
        const element = typeof key === "string" ? Number(key) : Number.NaN;
        if (!Number.isNaN(element)) {
          see(element, 1, READ);
          return target[element];
        }
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        return this.#method(target, String(key), value as Method, side, see);
      },
      set: (target, key, value: number) => {
        see(Number(key), 1, WRITE);
        target[Number(key)] = value;
        return true;
      },
    }) as V;
  }

  #method(target: AnyView, name: string, method: Method, side: string, see: See): Method {
    return (...args) => {
      if (name === "fill") {
        const [, from = 0, to = target.length] = args as number[];
        see(from, to - from, WRITE);
      } else if (name === "set") {
        const [source, at = 0] = args as [ArrayLike<number>, number?];
        see(at, source.length, WRITE);
      } else if (name === "subarray") {
        return this.watched(method.apply(target, args) as AnyView, side);
      } else {
        throw new Error(`a watched view has no ${name}()`);
      }
      return method.apply(target, args);
    };
  }

  #access(side: number, offset: number, bytes: number, kind: number): void {
    const clock = this.#clocks[side]!;
    for (let byte = offset; byte < offset + bytes; byte++) {
      for (let other = 0; other < this.#sides.length; other++) {
        if (other === side) continue;
        for (let otherKind = 0; otherKind < KINDS; otherKind++) {
          if (((kind | otherKind) & WRITE) === 0 || (kind & otherKind & ATOMIC) !== 0) continue;
          if (this.#last[this.#slot(byte, other, otherKind)]! > clock[other]!) {
            this.#report(byte, side, kind, other, otherKind);
          }
        }
      }
      this.#last[this.#slot(byte, side, kind)] = clock[side]!;
    }
  }

  #slot(byte: number, side: number, kind: number): number {
    return (side * KINDS + kind) * this.#memoryBytes + byte;
  }

  #report(byte: number, side: number, kind: number, other: number, otherKind: number): void {
    const said = [`${KIND_NAMES[kind]} by ${this.#sides[side]}`, `${KIND_NAMES[otherKind]} by ${this.#sides[other]}`];
    this.races.add(`${this.#nameOf(byte & ~1)}: ${said.sort().join(", ")}`);
  }
}

type Method = (...args: unknown[]) => unknown;
type See = (element: number, count: number, kind: number) => void;
