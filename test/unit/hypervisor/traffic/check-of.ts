/** The check of the stamped frame at `bytes[offset … offset + lengthBytes)`: device/spec/frame-stamp.ts, word by word. */
export function checkOf(bytes: Uint8Array, offset: number, lengthBytes: number): number {
  let s1 = 0n;
  let s2 = 0n;
  for (let at = 16; at < lengthBytes; at += 4) {
    let word = 0n;
    for (let i = 0; i < 4 && at + i < lengthBytes; i++) word += BigInt(bytes[offset + at + i]!) << BigInt(8 * i);
    if (at === 20) word = 0n;
    s1 = BigInt.asUintN(32, s1 + word);
    s2 = BigInt.asUintN(32, s2 + s1);
  }
  const rotated = BigInt.asUintN(32, s1 << 16n) | (s1 >> 16n);
  return Number(s2 ^ rotated ^ BigInt(lengthBytes));
}
