/**
 * Registers are data: one entry states everything about a register, and decoding, access rules, the generated
 * `docs/registers.md` and the table test all come from it. Entries name their accessors once; a compiled table finds
 * them by offset.
 */

export type RegisterAccess = "RO" | "WO" | "RW";
export type RegisterWidth = 1 | 2 | 4;

/** One register, or an array of `count` registers `stride` bytes apart, of a device `Target`. */
export interface RegisterDefinition<Target> {
  readonly name: string;
  /** Byte offset of the register, or of element 0 of an array. */
  readonly offset: number;
  /** Bytes of one access; the offset is a multiple of it. */
  readonly width: RegisterWidth;
  readonly access: RegisterAccess;
  /** Value that a read gives after reset; for what depends on options, that of the defaults. */
  readonly reset: number;
  /** Where the register is defined, such as `virtio 1.4 §4.2.2`. */
  readonly section: string;
  /** One English sentence. */
  readonly summary: string;
  readonly count?: number;
  readonly stride?: number;
  /** Gives the value as an unsigned number; `index` is the array element, 0 for a single register. */
  readonly read?: (target: Target, index: number, nowNs: number) => number;
  readonly write?: (target: Target, index: number, value: number, nowNs: number) => void;
}

/** What `read` gives where the access is not allowed; no register can hold it. */
export const NO_REGISTER = -1;

const NONE = 0xffff;

/** A block of registers, decoded by offset. Build one with `compileRegisters`, once per kind of block. */
export class RegisterTable<Target> {
  readonly definitions: readonly RegisterDefinition<Target>[];
  readonly sizeBytes: number;
  // Entry and array element of the register that begins at a byte offset.
  readonly #entryAt: Uint16Array;
  readonly #indexAt: Uint16Array;

  /** Use `compileRegisters`, which checks the maps that it passes here. */
  constructor(
    definitions: readonly RegisterDefinition<Target>[],
    sizeBytes: number,
    entryAt: Uint16Array,
    indexAt: Uint16Array,
  ) {
    this.definitions = definitions;
    this.sizeBytes = sizeBytes;
    this.#entryAt = entryAt;
    this.#indexAt = indexAt;
  }

  /** The register that begins at `offset`, or null. */
  find(offset: number): RegisterDefinition<Target> | null {
    const entry = this.#entryAt[offset];
    return entry === undefined || entry === NONE ? null : this.definitions[entry]!;
  }

  /** Array element of the register that begins at `offset`; 0 for a single register. */
  indexOf(offset: number): number {
    return this.#indexAt[offset] ?? 0;
  }

  /** Value of the register of exactly this offset and width; NO_REGISTER if there is none or it cannot be read. */
  read(target: Target, offset: number, widthBytes: number, nowNs: number): number {
    const definition = this.find(offset);
    if (definition === null || definition.width !== widthBytes || definition.read === undefined) return NO_REGISTER;
    return definition.read(target, this.indexOf(offset), nowNs);
  }

  /** Writes the register of exactly this offset and width; false if there is none or it cannot be written. */
  write(target: Target, offset: number, widthBytes: number, value: number, nowNs: number): boolean {
    const definition = this.find(offset);
    if (definition === null || definition.width !== widthBytes || definition.write === undefined) return false;
    definition.write(target, this.indexOf(offset), value, nowNs);
    return true;
  }
}

/**
 * Compiles definitions into a table of `sizeBytes` bytes.
 * Throws a RangeError that names the register if two overlap, one is misaligned or reaches beyond the block, an array
 * has no stride, or an accessor is missing or contradicts the declared access.
 */
export function compileRegisters<Target>(
  definitions: readonly RegisterDefinition<Target>[],
  sizeBytes: number,
): RegisterTable<Target> {
  const entryAt = new Uint16Array(sizeBytes).fill(NONE);
  const indexAt = new Uint16Array(sizeBytes);
  const takenBy: (string | undefined)[] = new Array(sizeBytes);
  for (const [entry, definition] of definitions.entries()) {
    checkDefinition(definition);
    const count = definition.count ?? 1;
    const stride = definition.stride ?? definition.width;
    for (let index = 0; index < count; index++) {
      const offset = definition.offset + index * stride;
      const name = definition.count === undefined ? definition.name : `${definition.name}(${index})`;
      if (offset + definition.width > sizeBytes) {
        throw new RangeError(
          `register ${name} ends at ${offset + definition.width}, but the block has ${sizeBytes} bytes`,
        );
      }
      for (let byte = offset; byte < offset + definition.width; byte++) {
        const other = takenBy[byte];
        if (other !== undefined) throw new RangeError(`registers ${other} and ${name} overlap at byte ${byte}`);
        takenBy[byte] = name;
      }
      entryAt[offset] = entry;
      indexAt[offset] = index;
    }
  }
  return new RegisterTable(definitions, sizeBytes, entryAt, indexAt);
}

function checkDefinition<Target>(definition: RegisterDefinition<Target>): void {
  const { name, offset, width, access } = definition;
  if (!Number.isInteger(offset) || offset < 0 || offset % width !== 0) {
    throw new RangeError(
      `register ${name} has offset ${offset}; it must be a non-negative multiple of its width ${width}`,
    );
  }
  const { count, stride } = definition;
  if (count !== undefined && (stride === undefined || stride < width || stride % width !== 0)) {
    throw new RangeError(`register array ${name} has stride ${stride}; it must be a multiple of its width ${width}`);
  }
  if ((definition.read !== undefined) !== (access !== "WO")) {
    throw new RangeError(
      `register ${name} is ${access}, which ${access === "WO" ? "forbids" : "needs"} a read accessor`,
    );
  }
  if ((definition.write !== undefined) !== (access !== "RO")) {
    throw new RangeError(
      `register ${name} is ${access}, which ${access === "RO" ? "forbids" : "needs"} a write accessor`,
    );
  }
}
