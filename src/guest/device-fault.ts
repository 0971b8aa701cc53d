/** The device did something that the standard forbids: a bug of the card, never of the traffic. Always fatal for a run. */
export class DeviceFault extends Error {
  override readonly name = "DeviceFault";
}
