/** The entry of the thread with the switch and the traffic of Linux guests. */
import { parentPort, workerData } from "node:worker_threads";
import { DEVICE_THREAD_ID } from "../../../device/spec/control-block.ts";
import { ownThreadId } from "../threads/thread-placement.ts";
import type { WireTask } from "./linux-task.ts";
import { WireLoop } from "./wire-loop.ts";

const task = workerData as WireTask;
const loop = new WireLoop(task);
new Int32Array(task.control)[DEVICE_THREAD_ID] = ownThreadId();
parentPort!.postMessage("ready");
parentPort!.postMessage(loop.run());
