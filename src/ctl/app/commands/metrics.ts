import { jsonLine } from "../../core/present.js";
import { replaceFile } from "../../io/report-files.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

const metrics: CtlCommand<{ readonly write?: string }, []> = async (context, { write }) => {
  const { contentType, text } = await withApi(context, (api) =>
    api.metrics.getMetrics({}, unaryOptions(context)),
  );
  const { json } = context.globals;
  if (write !== undefined) await replaceFile(write, text);
  if (json) {
    const where = write === undefined ? { text } : { file: write };
    context.out.write(jsonLine({ schema: "vpnctl.metrics/v1", contentType, ...where }));
  } else if (write === undefined) context.out.write(text);
  return 0;
};

export default metrics;
