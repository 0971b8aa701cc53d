import { describe, it } from "vitest";
import { protocolModel } from "./protocol-model.ts";
import { exploreStates } from "./state-space.ts";
import type { ProtocolOptions, Variant } from "./protocol-state.ts";

const base: ProtocolOptions = { load: "busy", eventIdx: true, frames: 1, parks: 1, slices: 0, asks: "both", replans: true, configChanges: 0, countWakes: false, variant: "none" };
const BROKEN: Variant[] = [
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
  } catch (e: any) { console.log(JSON.stringify(o), (performance.now()-t).toFixed(0), e.message.split('\n')[0]); }
}
describe("p", () => {
  it("a", () => {
    for (const variant of ["vCPU parks without looking at STATE_ECHO and the ring", "vCPU looks at PENDING before STATE_ECHO"] as const) for (const load of ["busy","idle"] as const) for (const eventIdx of [true, false]) for (const [frames,parks,slices,configChanges, countWakes] of [[1,1,0,0,false],[0,1,0,1,false]] as [number,number,number,number,boolean][])
     go({variant,load,eventIdx,frames,parks,slices,configChanges,countWakes,asks:"wake", replans:false});
    for (const variant of ["none","vCPU idles only once the device has taken its state over"] as const) for (const asks of ["natural","wake"] as const) for (const load of ["busy","idle"] as const) for (const [frames,parks,slices,configChanges] of [[1,1,0,0],[2,0,0,0],[0,1,0,1],[1,0,1,0]] as [number,number,number,number][])
     go({variant,load,frames,parks,slices,configChanges,countWakes:true,asks, replans:false});
  });
});
