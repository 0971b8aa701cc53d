/** A thread that holds the card under test. It answers calls, and between them polls if it was told to. */

import { receiveMessageOnPort, workerData } from "node:worker_threads";
import * as device from "../../../dist/device/index.js";
import { DeviceHost } from "./device-host.mjs";

// bell[0] counts calls, bell[1] answers.
const { port, bell, buffer } = workerData;
const host = new DeviceHost(device, buffer);

for (;;) {
  const calls = Atomics.load(bell, 0);
  const received = receiveMessageOnPort(port);
  if (received === undefined) {
    if (!host.polling) Atomics.wait(bell, 0, calls);
    else if (host.turn() === 0) Atomics.wait(bell, 0, calls, 0.02);
    continue;
  }
  const { method, args } = received.message;
  let answer;
  try {
    answer = { value: host[method](...args) };
  } catch (error) {
    answer = { error };
  }
  port.postMessage(answer);
  Atomics.add(bell, 1, 1);
  Atomics.notify(bell, 1);
}
