import type { Logger } from "pino";
import { VpnError } from "../../../common/errors.js";
import { describeStep, describeUndo } from "../../core/system/describe.js";
import { footprint, inForce, type Trace } from "../../core/system/footprint.js";
import type { Item, Machine } from "../../core/system/items.js";
import { planSteps } from "../../core/system/plan.js";
import type { ResolvConf, ResolverState } from "../../core/system/resolver-items.js";
import { applyActions, undoActions } from "../../core/system/undo.js";
import type { Executor } from "./executor.js";
import type { Journal, JournalEntry } from "./journal.js";
import { type LocalPrefix, observe, readConnectedRoutes, readLink, readLocalPrefixes } from "./observe.js";

/** One step of a network's plan. */
export interface PlannedStep {
  kind: string;
  description: string;
  undo: string;
  /** `pending`: it would be taken; `missing`: it was taken, but somebody else undid it since. */
  state: "applied" | "missing" | "pending";
}

function isThere(items: readonly Item[], machine: Machine): boolean {
  try {
    return planSteps(items, machine).length === 0;
  } catch {
    // Something of its name is in the way; maybe ours.
    return false;
  }
}

const none: ReadonlySet<string> = new Set();

/** An owner's parts, "OWNER/PART", are changed one by one and end with it. */
function ownedBy(owner: string): (entry: JournalEntry) => boolean {
  return (entry) => entry.owner === owner || entry.owner.startsWith(`${owner}/`);
}

/**
 * The one door for changes to the machine. Each change belongs to an owner (a network, or a part of one), is on disk before
 * it happens, and is taken back in reverse order. Calls run one after the other.
 */
export class SystemDoor {
  readonly #executor: Executor;
  readonly #journal: Journal;
  readonly #log: Logger;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(parts: { executor: Executor; journal: Journal; log: Logger }) {
    this.#executor = parts.executor;
    this.#journal = parts.journal;
    this.#log = parts.log;
  }

  /** The steps that `apply` would take, a line each. */
  async plan(items: readonly Item[]): Promise<string[]> {
    return planSteps(items, await observe(this.#executor, items)).map(describeStep);
  }

  /** The same with more about each step. */
  async pending(items: readonly Item[]): Promise<PlannedStep[]> {
    const steps = planSteps(items, await observe(this.#executor, items));
    return steps.map((step) => ({
      kind: step.kind,
      description: describeStep(step),
      undo: describeUndo(step),
      state: "pending",
    }));
  }

  /** The steps of an owner that are in the journal, in the order in which they were taken. */
  async applied(owner: string): Promise<PlannedStep[]> {
    const steps = this.#journal.entries.filter(ownedBy(owner)).map((entry) => entry.step);
    const machine = await observe(this.#executor, steps);
    return steps.map((step) => ({
      kind: step.kind,
      description: describeStep(step),
      undo: describeUndo(step),
      state: inForce(step, machine) ? "applied" : "missing",
    }));
  }

  /** What is on the machine because of the journal's steps. */
  async footprint(): Promise<Trace[]> {
    const entries = [...this.#journal.entries];
    const machine = await observe(
      this.#executor,
      entries.map((entry) => entry.step),
    );
    const routes = await readConnectedRoutes(this.#executor, [...machine.links.keys()]);
    return footprint(entries, machine, routes);
  }

  /** What could not be taken back so far, a line each. */
  leftovers(): string[] {
    return this.#journal.entries.map((entry) => describeUndo(entry.step));
  }

  /** What `undoAll` would do on the machine as it is, a line each. */
  async planUndoAll(): Promise<string[]> {
    const plan: string[] = [];
    for (const { step } of [...this.#journal.entries].reverse()) {
      const machine = await observe(this.#executor, [step]);
      if (undoActions(step, machine).length > 0) plan.push(describeUndo(step));
    }
    return plan;
  }

  /** What `undo` would do, a line each. */
  planUndo(owner: string): string[] {
    const mine = this.#journal.entries.filter(ownedBy(owner));
    return mine.reverse().map((entry) => describeUndo(entry.step));
  }

  /** A setting as below /proc/sys, such as "net/ipv4/ip_forward"; undefined when there is none. */
  readSetting(key: string): Promise<string | undefined> {
    return this.#executor.readSysctl(key);
  }

  /** Whether a link of this name exists. */
  async hasLink(name: string): Promise<boolean> {
    return (await readLink(this.#executor, name)) !== undefined;
  }

  /** Who resolves names on this machine. */
  resolver(): Promise<ResolverState> {
    return this.#executor.readResolver([]);
  }

  /** resolv.conf as it was before it was replaced; undefined: it was not. */
  formerResolvConf(): ResolvConf | undefined {
    for (const { step } of this.#journal.entries) {
      if (step.kind === "replace-resolv-conf") return step.before;
    }
    return undefined;
  }

  localPrefixes(): Promise<LocalPrefix[]> {
    return readLocalPrefixes(this.#executor);
  }

  /**
   * Brings the items about; all of them, or none.
   * @returns the descriptor of the TUN device among them; the caller owns it
   */
  apply(owner: string, items: readonly Item[]): Promise<{ tunFd?: number }> {
    return this.#serial(() => this.#apply(owner, items));
  }

  /**
   * Takes back everything of the owner. Close the TUN's descriptor before. Never throws: what fails is logged, stays in the
   * journal, and is tried again by the owner's next `apply`, at the next start, and by `vpnd --cleanup`.
   */
  undo(owner: string): Promise<void> {
    return this.#serial(async () => {
      await this.#undo(ownedBy(owner));
    });
  }

  /**
   * Takes back whatever the journal holds.
   * @param except an owner whose changes stay
   * @returns what was done, a line each
   */
  undoAll(except?: string): Promise<string[]> {
    const stays = except === undefined ? () => false : ownedBy(except);
    return this.#serial(() => this.#undo((entry) => !stays(entry)));
  }

  /**
   * Brings addresses, routes, refusals, rules and files about; if just these are there already, nothing is touched, and there is no moment
   * without them.
   * @returns whether something was done
   */
  ensure(owner: string, items: readonly Item[]): Promise<boolean> {
    return this.#serial(async () => {
      if (await this.#isJustSo(owner, items)) return false;
      await this.#apply(owner, items);
      return true;
    });
  }

  async #isJustSo(owner: string, items: readonly Item[]): Promise<boolean> {
    const mine = this.#journal.entries.filter(ownedBy(owner)).map((entry) => entry.step);
    const machine = await observe(this.#executor, [...mine, ...items]);
    if (!mine.every((step) => inForce(step, machine)) || !isThere(items, machine)) return false;
    const links = new Map([...machine.links].map(([name, link]) => [name, { ...link, addresses: [] }]));
    const bare = { ...machine, links, routes: none, rules: none, refusals: none, files: new Map() };
    const wanted = new Set(planSteps(items, bare).map(describeStep));
    return mine.every((step) => wanted.has(describeStep(step)));
  }

  async #apply(owner: string, items: readonly Item[]): Promise<{ tunFd?: number }> {
    await this.#undo(ownedBy(owner));
    const steps = planSteps(items, await observe(this.#executor, items));
    let tunFd: number | undefined;
    try {
      for (const step of steps) {
        if (step.kind === "write-file") step.folders = await this.#executor.missingFolders(step.path);
        const entry: JournalEntry = { owner, step, done: false };
        this.#journal.entries.push(entry);
        // Also brings the done mark of the step before to the disk.
        await this.#journal.save();
        if (step.kind === "create-tun" || step.kind === "attach-tun") {
          tunFd = this.#executor.openTun(step.name, step.mode).fd;
          if (step.kind === "create-tun") {
            const link = await readLink(this.#executor, step.name);
            if (link) step.ifindex = link.ifindex;
          }
        }
        for (const action of applyActions(step)) await this.#executor.run(action);
        entry.done = true;
        this.#log.debug({ network: owner, change: describeStep(step) }, "system change");
      }
      await this.#journal.save();
    } catch (error) {
      if (tunFd !== undefined) this.#executor.closeFd(tunFd);
      await this.#undo(ownedBy(owner));
      throw VpnError.from(error, "failed");
    }
    return tunFd === undefined ? {} : { tunFd };
  }

  async #undo(chosen: (entry: JournalEntry) => boolean): Promise<string[]> {
    const done: string[] = [];
    const entries = this.#journal.entries.filter(chosen);
    if (entries.length === 0) return done;
    const undone = new Set<JournalEntry>();
    for (const entry of entries.reverse()) {
      try {
        // Looked at anew for each step: taking one back may change what the next one finds.
        const machine = await observe(this.#executor, [entry.step]);
        const actions = undoActions(entry.step, machine);
        for (const action of actions) await this.#executor.run(action);
        if (actions.length > 0) done.push(describeUndo(entry.step));
        undone.add(entry);
      } catch (error) {
        this.#log.warn({ network: entry.owner, err: error, change: describeUndo(entry.step) }, "undo failed");
      }
    }
    this.#journal.entries = this.#journal.entries.filter((entry) => !undone.has(entry));
    // A full disk must not keep the machine from being put in order; the next start finds nothing left to undo.
    await this.#journal
      .save()
      .catch((error: unknown) => this.#log.warn({ err: error }, "journal not written"));
    return done;
  }

  #serial<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }
}
