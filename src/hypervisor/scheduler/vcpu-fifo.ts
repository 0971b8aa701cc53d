/**
 * vCPU indices in order of arrival, each at most once. There are a few dozen at most, so closing a gap by moving the rest
 * is cheaper than any cleverer structure, and nothing is allocated after construction.
 */
export class VcpuFifo {
  readonly #items: Int32Array;
  #size = 0;

  constructor(capacity: number) {
    this.#items = new Int32Array(capacity);
  }

  get size(): number {
    return this.#size;
  }

  at(index: number): number {
    return this.#items[index]!;
  }

  indexOf(vcpu: number): number {
    for (let i = 0; i < this.#size; i++) if (this.#items[i] === vcpu) return i;
    return -1;
  }

  push(vcpu: number): void {
    this.#items[this.#size++] = vcpu;
  }

  removeAt(index: number): number {
    const vcpu = this.#items[index]!;
    this.#items.copyWithin(index, index + 1, this.#size);
    this.#size--;
    return vcpu;
  }

  /** False if it was not there. */
  remove(vcpu: number): boolean {
    const index = this.indexOf(vcpu);
    if (index < 0) return false;
    this.removeAt(index);
    return true;
  }
}
