import { constants } from "node:fs";
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Entry, type Problem, readToml } from "./layer.js";

/** Far more than any config; keeps a wrong name such as /dev/sda from being read. */
const maxBytes = 256 * 1024;

export interface ConfigFiles {
  /** Of all files, in the order in which later ones win. */
  entries: Entry[];
  problems: Problem[];
  /** Those that were read. */
  files: string[];
}

/**
 * Reads a config file, and then the *.toml files of the folder of the same name with ".d", by name.
 * @param required the file must exist; the folder never has to
 */
export async function readConfigFiles(file: string, required: boolean): Promise<ConfigFiles> {
  const result: ConfigFiles = { entries: [], problems: [], files: [] };
  const folder = `${file}.d`;
  for (const { path, must } of [
    { path: file, must: required },
    ...(await dropIns(folder, result.problems)),
  ]) {
    const text = await readText(path);
    if (text === "absent" && !must) continue;
    if (text === "absent") {
      result.problems.push(fault(path, "there is no such file", "name the right one with --config"));
    } else if (typeof text === "object") {
      result.problems.push(text);
    } else {
      const { entries, problem } = readToml(path, text);
      result.files.push(path);
      result.entries.push(...entries);
      if (problem) result.problems.push(problem);
    }
  }
  return result;
}

const fault = (file: string, message: string, hint: string): Problem => ({ origin: { file }, message, hint });

async function dropIns(folder: string, problems: Problem[]): Promise<{ path: string; must: boolean }[]> {
  try {
    const names = await readdir(folder);
    const used = names.filter((name) => name.endsWith(".toml") && !name.startsWith(".")).sort();
    if (used.length > 0 && ((await stat(folder)).mode & 0o002) !== 0) {
      problems.push(fault(folder, "everybody may put files there", `run: chmod o-w ${folder}`));
    }
    return used.map((name) => ({ path: join(folder, name), must: true }));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    problems.push(unreadable(folder, error));
    return [];
  }
}

/** The text, "absent", or why it cannot be used. */
async function readText(path: string): Promise<string | Problem> {
  let file: FileHandle | undefined;
  try {
    // A FIFO must not hold up the start.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size, mode } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) {
      return fault(path, "it is no file", "name a TOML file with --config");
    }
    if (size > maxBytes) return fault(path, `it is larger than ${maxBytes} bytes`, "name a TOML file");
    // Whoever writes it decides what a privileged program does.
    if ((mode & 0o002) !== 0) return fault(path, "everybody may write to it", `run: chmod o-w ${path}`);
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.readFile());
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "absent";
    if (error instanceof TypeError) return fault(path, "it is not UTF-8 text", "save it as UTF-8");
    return unreadable(path, error);
  } finally {
    await file?.close();
  }
}

function unreadable(path: string, error: unknown): Problem {
  const hint = codeOf(error) === "EACCES" ? "read it as root, or let this user read it" : "check the file";
  return fault(path, `cannot read it: ${codeOf(error) ?? String(error)}`, hint);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
