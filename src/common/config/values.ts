import { z } from "zod";
import { parseEndpoint } from "../endpoint.js";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof logLevels)[number];
export const logLevelSchema = z.enum(logLevels);

/** "ADDR:PORT" or "[ADDR]:PORT"; `parseEndpoint` takes it apart. */
export const endpointSchema = z
  .string()
  .refine((text) => parseEndpoint(text) !== undefined, { error: "is no ADDR:PORT" });

export const absolutePathSchema = z.string().regex(/^\/[^\0]*$/, { error: "must be an absolute path" });
