/** Rings a doorbell: the sleeper that read the old value before it looked at its inputs will not sleep on it. */
export function ringDoorbell(words: Int32Array, at: number): void {
  Atomics.add(words, at, 1);
  Atomics.notify(words, at);
}
