import { exampleFile, keyTable } from "../../../common/config/example.js";
import { keysOf } from "../../../common/config/keys.js";
import { vpndSchema } from "./schema.js";

/** The name that stands for those that users choose. */
const names = { network: "office" };

const head = `vpnd.toml: settings of vpnd.

It belongs into /etc/vpnd/vpnd.toml; files in /etc/vpnd/vpnd.toml.d/*.toml are read after it, by name, and of two values for
one key the later counts. Flags count more than files. Every key is here, with its default where it has one: take away the "#"
before a key to set it.

Look at what is in force, and where it comes from: vpnd --check-config
Apply changes without a restart, where the key says so: systemctl reload vpnd (SIGHUP)`;

/** packaging/vpnd.toml.example */
export const vpndExample = (): string => exampleFile(keysOf(vpndSchema), head, names);

/** The keys of docs/config.md. */
export const vpndKeyTable = (): string => keyTable(keysOf(vpndSchema), { network: "NAME" });
