import { describe, it } from "vitest";
import { protocolModel } from "./protocol-model.ts";
import { exploreStates } from "./state-space.ts";
import type { ProtocolOptions, Broken } from "./protocol-state.ts";

const base: ProtocolOptions = { load: "busy", eventIdx: true, frames: 1, parks: 1, slices: 0, configChanges: 0, countWakes: false, broken: "none" };
const BROKEN: Broken[] = [
  "host injects the notification"
  , "wake clears the cause"
  , "vCPU reads its doorbell after looking"
  , "host reads its doorbell after looking"
  , "device reads its doorbell after looking"
  , "vCPU parks without looking at STATE_ECHO"
  , "vCPU parks without looking at STATE_ECHO and the ring"
  , "vCPU looks at PENDING before STATE_ECHO"
  , "device stores STATE_ECHO before it acts"
  , "device leaves PENDING on taking over 0"
  , "vCPU takes itself back without compareExchange"
  , "host posts 0 before the vCPU has parked"
  , "host unparks before it posts 1"
  , "device skips the state in between"];
function go(o: Partial<ProtocolOptions>) {
    const t = performance.now();
  try { const r = exploreStates(protocolModel({...base, ...o}));
    console.log(JSON.stringify(o), r.states, r.transitions, (performance.now()-t).toFixed(0));
  } catch (e: any) { console.log(JSON.stringify(o), (performance.now()-t).toFixed(0), e.message); }
}
describe("p", () => {
  it("a", () => {
    for (const load of ["busy","idle"] as const) for (const eventIdx of [true, false]) for (const [frames,parks,slices,configChanges] of [[1,1,0,0],[1,1,1,0],[2,1,0,0],[2,1,1,0],[1,1,0,1]] as [number,number,number,number][])
     go({load,eventIdx,frames,parks,slices,configChanges});
  });
});
