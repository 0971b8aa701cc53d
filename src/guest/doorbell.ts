/**
 * The doorbell rule (DESIGN §9): a writer stores what it has to say, then rings; a sleeper reads its doorbell, then looks
 * at all its inputs, then waits on the value it read. A ring after the look changes the value, so the wait returns.
 */
export function ringDoorbell(words: Int32Array, at: number): void {
  Atomics.add(words, at, 1);
  Atomics.notify(words, at);
}
