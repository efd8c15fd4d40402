import { VpnError } from "../../../common/errors.js";
import { completionScript, isShell } from "../../core/completion-script.js";
import type { CtlCommand } from "../context.js";

const completion: CtlCommand<object, [string]> = async (context, _flags, shell) => {
  if (!isShell(shell))
    throw new VpnError("usage", `there is no completion for ${shell}`, { hint: "name bash, zsh or fish" });
  context.out.write(completionScript(shell, context.commandNames));
  return 0;
};

export default completion;
