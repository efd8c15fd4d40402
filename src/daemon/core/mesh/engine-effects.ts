import type { MeshEngine } from "../engine.js";
import type { MeshEffect } from "./types.js";

/** Those of the core's effects that are commands to the engine. */
export type EngineEffect = Extract<
  MeshEffect,
  {
    type:
      | "send"
      | "connect"
      | "abort"
      | "admit"
      | "refuse"
      | "set-peer"
      | "remove-peer"
      | "close-peer"
      | "send-control";
  }
>;

/** Gives the effect to the engine if it is the engine's; false: it is somebody else's. */
export function commandEngine(engine: MeshEngine, effect: MeshEffect): effect is EngineEffect {
  switch (effect.type) {
    case "send":
      engine.send(effect.to, effect.data);
      return true;
    case "connect":
      engine.connect(effect.tag, effect.to, effect.epoch);
      return true;
    case "abort":
      engine.abort(effect.tag);
      return true;
    case "admit":
      engine.admit(effect.assoc, effect.peer);
      return true;
    case "refuse":
      engine.refuse(effect.assoc, effect.reason);
      return true;
    case "set-peer":
      engine.setPeer(effect.peer, effect.prefixes);
      return true;
    case "remove-peer":
      engine.removePeer(effect.peer);
      return true;
    case "close-peer":
      engine.closePeer(effect.peer);
      return true;
    case "send-control":
      engine.sendControl(effect.peer, effect.data);
      return true;
    default:
      return false;
  }
}
