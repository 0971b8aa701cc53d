/** What a driver does through its transport, whichever that is (virtio 1.4 §4). */

export interface QueuePlaces {
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
}

export interface TransportDriver {
  /** The device status register. */
  status: number;
  offeredWord(word: number): number;
  acceptWord(word: number, value: number): void;
  /** A little-endian field of the device configuration, of 1, 2 or 4 bytes. */
  config(offset: number, widthBytes: number): number;
  writeConfig(offset: number, widthBytes: number, value: number): void;
  readonly configGeneration: number;
  /** What has to be done once more after every reset: on PCI, give configuration changes their vector. */
  prepare(): void;
  /** Largest size of a queue, before the driver has set any; 0 if it does not exist. */
  queueSizeMax(index: number): number;
  setQueue(index: number, places: QueuePlaces): void;
  enableQueue(index: number): void;
  isQueueEnabled(index: number): boolean;
  /** RING_RESET, and waits until it is done. */
  resetQueue(index: number): void;
  /** `next`: what NOTIFICATION_DATA puts into the upper half; left out if the feature was not negotiated. */
  notify(index: number, next?: number): void;
  /** Reads and acknowledges the interrupt status: USED_BUFFER, CONFIG_CHANGE. */
  takeInterruptStatus(): number;
}
