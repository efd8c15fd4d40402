import { exampleFile, keyTable } from "../../common/config/example.js";
import { iexdKeys } from "./config.js";

const head = `iexd.toml: settings of iexd.

It belongs into /etc/vpnd/iexd.toml; files in /etc/vpnd/iexd.toml.d/*.toml are read after it, by name, and of two values for
one key the later counts. Flags count more than files. Every key is here, with its default where it has one: take away the "#"
before a key to set it.

Look at what is in force, and where it comes from: iexd --check-config
Apply changes without a restart, where the key says so: systemctl reload iexd (SIGHUP)`;

/** packaging/iexd.toml.example */
export const iexdExample = (): string => exampleFile(iexdKeys, head, {});

/** The keys of docs/config.md. */
export const iexdKeyTable = (): string => keyTable(iexdKeys, {});
