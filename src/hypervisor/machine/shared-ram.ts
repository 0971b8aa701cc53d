/**
 * Guest memory that the card, the traffic source and a guest's worker share: one `WebAssembly.Memory`, for only there is
 * `memory.copy` a real memmove whatever the alignment (an `Uint8Array.set` on shared memory falls to a byte loop when
 * source and destination differ mod 8, as a 12-byte frame header makes them).
 *
 *   0 … ramBytes               guest-physical memory
 *   ramBytes … + stagingBytes  frames on their way in and out, out of the guest's reach
 */
export interface SharedRam {
  /** The WebAssembly.Memory, which a worker can be sent. */
  readonly memory: object;
  readonly buffer: SharedArrayBuffer;
  readonly ramBytes: number;
  readonly stagingOffset: number;
  readonly stagingBytes: number;
}

/** Moves `lengthBytes` bytes inside the memory; source and destination may overlap. */
export type CopyWithin = (destination: number, source: number, lengthBytes: number) => void;

// What we use of the WebAssembly namespace; Node's type package leaves it to the DOM library.
interface WasmNamespace {
  readonly Memory: new (descriptor: {
    initial: number;
    maximum: number;
    shared: true;
  }) => { readonly buffer: SharedArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: { readonly copy: CopyWithin } };
}
const wasm = (globalThis as unknown as { WebAssembly: WasmNamespace }).WebAssembly;

const PAGE_BYTES = 65536;

/** (module (import "e" "m" (memory 1 65536 shared)) (func (export "copy") (param i32 i32 i32) memory.copy of the three)) */
const COPY_MODULE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x07, 0x01, 0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x00], // type 0: (i32, i32, i32) → ()
  ...[0x02, 0x0b, 0x01, 0x01, 0x65, 0x01, 0x6d, 0x02, 0x03, 0x01, 0x80, 0x80, 0x04], // import the memory
  ...[0x03, 0x02, 0x01, 0x00], // function 0 of type 0
  ...[0x07, 0x08, 0x01, 0x04, 0x63, 0x6f, 0x70, 0x79, 0x00, 0x00], // export "copy"
  ...[0x0a, 0x0e, 0x01, 0x0c, 0x00, 0x20, 0x00, 0x20, 0x01, 0x20, 0x02, 0xfc, 0x0a, 0x00, 0x00, 0x0b],
);

/** Allocates memory for a guest. Sizes are rounded up to whole pages of 64 KiB. Throws RangeError beyond 4 GiB. */
export function allocateSharedRam(ramBytes: number, stagingBytes: number): SharedRam {
  const ramPages = Math.ceil(ramBytes / PAGE_BYTES);
  const stagingPages = Math.ceil(stagingBytes / PAGE_BYTES);
  const pages = ramPages + stagingPages;
  if (pages > 65536) throw new RangeError(`guest memory: got ${pages * PAGE_BYTES} bytes, allowed are at most 4 GiB`);
  const memory = new wasm.Memory({ initial: pages, maximum: pages, shared: true });
  return {
    memory,
    buffer: memory.buffer,
    ramBytes: ramPages * PAGE_BYTES,
    stagingOffset: ramPages * PAGE_BYTES,
    stagingBytes: stagingPages * PAGE_BYTES,
  };
}

/** The fast copy for `memory`, a shared WebAssembly.Memory, in the calling thread. */
export function copyWithinOf(memory: object): CopyWithin {
  return new wasm.Instance(new wasm.Module(COPY_MODULE), { e: { m: memory } }).exports.copy;
}
