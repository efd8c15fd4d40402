import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { VpnError } from "./errors.js";

const require = createRequire(import.meta.url);
let loaded: unknown;

/**
 * What native/napi exports, loaded at first use. `VPND_ADDON` names another file.
 * @throws VpnError `failed` when it is missing or does not fit this Node
 */
export function loadAddon(): unknown {
  if (loaded !== undefined) return loaded;
  // The same depth below the package from src/ and from dist/.
  const path =
    process.env.VPND_ADDON ?? fileURLToPath(new URL("../../native/build/vpnd.node", import.meta.url));
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
