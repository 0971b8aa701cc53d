/** virtio over MMIO, from the driver's side: virtio 1.4 §4.2 alone. */

import { MMIO } from "./numbers.ts";
import type { Place } from "./places.ts";
import type { QueuePlaces, TransportDriver } from "./transport.ts";

export class MmioDriver implements TransportDriver {
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  read(offset: number, widthBytes = 4): number {
    return this.#place.call("read", 0, offset, widthBytes);
  }

  write(offset: number, value: number, widthBytes = 4): void {
    this.#place.call("write", 0, offset, widthBytes, value);
  }

  get status(): number {
    return this.read(MMIO.Status);
  }

  set status(value: number) {
    this.write(MMIO.Status, value);
  }

  offeredWord(word: number): number {
    this.write(MMIO.DeviceFeaturesSel, word);
    return this.read(MMIO.DeviceFeatures);
  }

  acceptWord(word: number, value: number): void {
    this.write(MMIO.DriverFeaturesSel, word);
    this.write(MMIO.DriverFeatures, value);
  }

  config(offset: number, widthBytes: number): number {
    return this.read(MMIO.Config + offset, widthBytes);
  }

  writeConfig(offset: number, widthBytes: number, value: number): void {
    this.write(MMIO.Config + offset, value, widthBytes);
  }

  get configGeneration(): number {
    return this.read(MMIO.ConfigGeneration);
  }

  prepare(): void {}

  queueSizeMax(index: number): number {
    this.write(MMIO.QueueSel, index);
    return this.read(MMIO.QueueSizeMax);
  }

  setQueue(index: number, { size, desc, driver, device }: QueuePlaces): void {
    this.write(MMIO.QueueSel, index);
    this.write(MMIO.QueueSize, size);
    this.#writeAddress(MMIO.QueueDescLow, desc);
    this.#writeAddress(MMIO.QueueDriverLow, driver);
    this.#writeAddress(MMIO.QueueDeviceLow, device);
  }

  #writeAddress(low: number, address: number): void {
    this.write(low, address % 2 ** 32);
    this.write(low + 4, Math.floor(address / 2 ** 32));
  }

  enableQueue(index: number): void {
    this.write(MMIO.QueueSel, index);
    this.write(MMIO.QueueReady, 1);
  }

  isQueueEnabled(index: number): boolean {
    this.write(MMIO.QueueSel, index);
    return this.read(MMIO.QueueReady) === 1;
  }

  resetQueue(index: number): void {
    this.write(MMIO.QueueSel, index);
    this.write(MMIO.QueueReset, 1);
    if (this.read(MMIO.QueueReset) !== 0) throw new Error(`queue ${index} is still in reset`);
  }

  notify(index: number, next?: number): void {
    this.write(MMIO.QueueNotify, next === undefined ? index : (index | (next << 16)) >>> 0);
  }

  takeInterruptStatus(): number {
    const status = this.read(MMIO.InterruptStatus);
    this.write(MMIO.InterruptACK, status);
    return status;
  }
}
