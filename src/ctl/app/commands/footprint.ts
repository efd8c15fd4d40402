import { jsonLine } from "../../core/present.js";
import { footprintJson } from "../../core/system-documents.js";
import { footprintText } from "../../core/system-text.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const footprint: CtlCommand<object, []> = async (context) => {
  const { network } = context.globals;
  const { traces, moreFiles } = await withApi(context, (api) =>
    api.system.getFootprint({ network }, unaryOptions(context)),
  );
  context.out.write(
    context.globals.json
      ? jsonLine(footprintJson(traces, moreFiles))
      : footprintText(traces, moreFiles, context.out.look),
  );
  return 0;
};

export default footprint;
