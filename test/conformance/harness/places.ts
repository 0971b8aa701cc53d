/** Where the card under test lives: in the test's thread, or in another. Either way a call returns when it is done. */

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import * as device from "../../../src/device/index.ts";
import { DeviceHost } from "./device-host.mjs";
import { RAM_BYTES } from "./guest-ram.ts";

type Method = {
  [Name in keyof DeviceHost]: DeviceHost[Name] extends (...args: never[]) => unknown ? Name : never;
}[keyof DeviceHost];

export interface Place {
  readonly buffer: SharedArrayBuffer;
  call<Name extends Method>(method: Name, ...args: Parameters<DeviceHost[Name]>): ReturnType<DeviceHost[Name]>;
}

export class SameThread implements Place {
  readonly buffer = new SharedArrayBuffer(RAM_BYTES);
  readonly #host = new DeviceHost(device, this.buffer);

  call<Name extends Method>(method: Name, ...args: Parameters<DeviceHost[Name]>): ReturnType<DeviceHost[Name]> {
    const host = this.#host as unknown as Record<string, (...values: unknown[]) => unknown>;
    return host[method]!(...args) as ReturnType<DeviceHost[Name]>;
  }
}

/** Far more than any call takes; only a thread that is gone, or hangs, is silent for so long. */
const ANSWER_WITHIN_MS = 10_000;

export class OtherThread implements Place {
  readonly buffer = new SharedArrayBuffer(RAM_BYTES);
  readonly #bell = new Int32Array(new SharedArrayBuffer(8));
  readonly #port: MessagePort;
  readonly #worker: Worker;
  #silent = false;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(new URL("./device-thread.mjs", import.meta.url), {
      workerData: { port: port2, bell: this.#bell, buffer: this.buffer },
      transferList: [port2],
    });
    this.#worker.unref();
    port1.unref();
  }

  call<Name extends Method>(method: Name, ...args: Parameters<DeviceHost[Name]>): ReturnType<DeviceHost[Name]> {
    if (this.#silent) throw new Error("the device's thread does not answer any more");
    const answers = Atomics.load(this.#bell, 1);
    this.#port.postMessage({ method, args });
    Atomics.add(this.#bell, 0, 1);
    Atomics.notify(this.#bell, 0);
    // The bell of the call before may ring only now: what counts is the number of answers.
    while (Atomics.load(this.#bell, 1) === answers) {
      if (Atomics.wait(this.#bell, 1, answers, ANSWER_WITHIN_MS) !== "timed-out") continue;
      this.#silent = true;
      throw new Error(`the device's thread has not answered ${method} within ${ANSWER_WITHIN_MS} ms`);
    }
    const answer = receiveMessageOnPort(this.#port)!.message as { value: unknown; error?: Error };
    if (answer.error !== undefined) throw answer.error;
    return answer.value as ReturnType<DeviceHost[Name]>;
  }

  async close(): Promise<void> {
    this.#port.close();
    await this.#worker.terminate();
  }
}
