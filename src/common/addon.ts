import { createRequire } from "node:module";
import { VpnError } from "./errors.js";
import { packageFile } from "./package-file.js";

const require = createRequire(import.meta.url);
let loaded: unknown;

/**
 * What native/napi exports, loaded at first use. `VPND_ADDON` names another file.
 * @throws VpnError `failed` when it is missing or does not fit this Node
 */
export function loadAddon(): unknown {
  if (loaded !== undefined) return loaded;
  const path = process.env.VPND_ADDON ?? packageFile("native/build/vpnd.node");
  try {
    loaded = require(path);
    return loaded;
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND";
    throw new VpnError(
      "failed",
      `cannot load the native addon ${path}${missing ? ": it is not built" : ""}`,
      {
        hint: missing ? "run: npm run build" : "build it again for this version of Node: npm run build",
        cause: error,
      },
    );
  }
}
