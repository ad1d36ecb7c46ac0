import { type FaultKind, type LeatError, toLeatError } from '../model/faults.ts';
import { INTENTS } from '../model/ids.ts';
import type { MountId, Origin } from '../model/inode.ts';
import { type Name, toText } from '../model/names.ts';
import type { Context, NamespaceDeps } from './context.ts';
import { type Intent, keysOf } from './intent.ts';
import { carryOut } from './intent-acts.ts';
import { KeyIndex } from './key-index.ts';

const IN_FLIGHT_MAX = 16;
/** Intents held in memory; of those beyond only the name is, and they are read when their turn comes. */
const WINDOW_MAX = 1000;
const FAILED_MAX = 100;
const RETRY_MS_MAX = 60_000;
const RETRY_MS_FIRST = 200;
const DOUBLINGS_MAX = 10;
/** A store that does not answer, or a rival that was quicker: another time it may go well. */
const TRANSIENT: readonly FaultKind[] = ['unavailable', 'contended', 'interrupted', 'busy', 'noSpace'];

export interface Failed {
  readonly what: string;
  readonly reason: string;
}

interface Pending {
  readonly name: Name;
  readonly intent: Intent;
  attempts: number;
  notBefore: number;
  isRunning: boolean;
}

interface LaneDeps {
  readonly mount: MountId;
  readonly deps: NamespaceDeps;
  /** Undefined until the namespace has started. */
  readonly context: () => Context | undefined;
  /** Shared by all lanes, the latest last. */
  readonly failed: Failed[];
}

/** What one store is owed, carried out in order per path and side by side otherwise. */
export class IntentLane {
  readonly #lane: LaneDeps;
  /** All that is pending, with what to call when it is done. */
  readonly #accepted = new Map<Name, () => void>();
  readonly #window = new Map<Name, Pending>();
  readonly #held = new Set<Origin>();
  readonly #running = new Set<Promise<void>>();
  /** What stands behind this name in the metastore may not be in the window; undefined when all is. */
  #loadAfter: Name | undefined;
  #isLoading = false;
  /** Something has been accepted, and not taken, while a page was loaded that may not show it. */
  #isPageOld = false;
  /** When the next look has been ordered for. */
  #wakeAt = Infinity;
  #isStopped = false;
  #pausedUntil = 0;
  #failuresInRow = 0;

  constructor(lane: LaneDeps) {
    this.#lane = lane;
  }

  get pending(): number {
    return this.#accepted.size;
  }

  accept(name: Name, intent: Intent, onDone: () => void): void {
    this.#accepted.set(name, onDone);
    if (this.#loadAfter === undefined && this.#window.size < WINDOW_MAX) this.#take(name, intent);
    else {
      // Everything that follows this name strictly, and so this name itself, when read after its longest prefix.
      this.#isPageOld = true;
      const before = name.slice(0, -1) as Name;
      if (this.#loadAfter === undefined || before < this.#loadAfter) this.#loadAfter = before;
    }
    this.#pump();
  }

  /** Keeps intents away from a key until the answer is called. */
  hold(origin: Origin): () => void {
    const held = { ...origin };
    this.#held.add(held);
    return () => {
      this.#held.delete(held);
      this.#pump();
    };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  /** As `stop`, and what is pending is nobody's here any more. */
  async leave(): Promise<void> {
    await this.stop();
    for (const onDone of this.#accepted.values()) onDone();
    this.#accepted.clear();
  }

  #take(name: Name, intent: Intent): void {
    this.#window.set(name, { name, intent, attempts: 0, notBefore: 0, isRunning: false });
  }

  /** Begins what is free to begin: nothing before it in order, and no upload, touches a key at, above or below its own. */
  #pump(): void {
    const context = this.#lane.context();
    const now = this.#lane.deps.clock();
    if (!context || this.#isStopped) return;
    const isRoomy = this.#window.size < WINDOW_MAX / 2;
    if (this.#loadAfter !== undefined && isRoomy && !this.#isLoading) this.#track(this.#load(this.#loadAfter));
    if (now < this.#pausedUntil) return this.#wake(this.#pausedUntil);
    const blocked = new KeyIndex();
    const { mount } = this.#lane;
    for (const held of this.#held) blocked.add(held);
    for (const pending of this.#window.values()) {
      if (this.#running.size >= IN_FLIGHT_MAX) return;
      const keys = keysOf(pending.intent).map((key) => ({ mount, key }));
      const isFree = !keys.some((key) => blocked.hasRelated(key));
      for (const key of keys) blocked.add(key);
      if (!isFree || pending.isRunning) continue;
      if (pending.notBefore > now) this.#wake(pending.notBefore);
      else this.#track(this.#attempt(context, pending));
    }
  }

  /** Looks again at a time, by the clock: a sleep may end early, or the clock be set back. */
  #wake(at: number): void {
    if (at >= this.#wakeAt) return;
    this.#wakeAt = at;
    const { deps } = this.#lane;
    void deps.sleep(Math.max(0, at - deps.clock()) + 1).then(() => {
      if (this.#wakeAt === at) this.#wakeAt = Infinity;
      this.#pump();
    });
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => {
      this.#running.delete(tracked);
      this.#pump();
    });
    this.#running.add(tracked);
  }

  async #load(after: Name): Promise<void> {
    this.#isLoading = true;
    this.#isPageOld = false;
    try {
      const rows = await this.#lane.deps.metastore.list(INTENTS, { after, limit: WINDOW_MAX });
      const own = rows.filter(({ name }) => name.startsWith(`${this.#lane.mount}.`));
      for (const { name, row } of own) {
        // What is not accepted yet is being committed: it comes by itself, and the next load finds it.
        if (row.kind !== 'record' || !this.#accepted.has(name) || this.#window.has(name)) continue;
        this.#take(name, JSON.parse(row.body) as Intent);
      }
      if (this.#isPageOld || this.#loadAfter !== after) return; // again
      this.#loadAfter = own.length < WINDOW_MAX ? undefined : own.at(-1)?.name;
    } catch (error) {
      this.#lane.deps.log(`intents of mount ${this.#lane.mount} could not be read: ${toLeatError(error).message}`);
      await this.#lane.deps.sleep(RETRY_MS_FIRST);
    } finally {
      this.#isLoading = false;
    }
  }

  async #attempt(context: Context, pending: Pending): Promise<void> {
    pending.isRunning = true;
    try {
      if (context.mounted.has(this.#lane.mount)) await carryOut(context, pending.intent);
      this.#failuresInRow = 0;
      await this.#forget(context, pending);
    } catch (error) {
      const fault = toLeatError(error);
      if (TRANSIENT.includes(fault.kind)) this.#retryLater(pending, fault);
      else await this.#giveUp(context, pending, fault);
    } finally {
      pending.isRunning = false;
    }
  }

  async #forget(context: Context, { name }: Pending): Promise<void> {
    await context.metastore.commit([{ act: 'remove', key: { directory: INTENTS, name }, when: 'any' }]);
    this.#window.delete(name);
    const onDone = this.#accepted.get(name);
    this.#accepted.delete(name);
    onDone?.();
  }

  async #giveUp(context: Context, pending: Pending, fault: LeatError): Promise<void> {
    const { deps, failed } = this.#lane;
    failed.push({ what: describe(pending.intent), reason: fault.message });
    failed.splice(0, failed.length - FAILED_MAX);
    deps.log(`${describe(pending.intent)} cannot be done, and is given up: ${fault.message}`);
    await this.#forget(context, pending).catch((error: unknown) => this.#retryLater(pending, toLeatError(error)));
  }

  /** A store that is down is not asked by everything that is owed to it: the whole lane waits, and longer each time. */
  #retryLater(pending: Pending, fault: LeatError): void {
    if (this.#isStopped) return;
    const { deps } = this.#lane;
    const { random = Math.random } = deps;
    const spread = () => 0.5 + random() / 2;
    const delay = RETRY_MS_FIRST * 2 ** Math.min(DOUBLINGS_MAX, pending.attempts++) * spread();
    const pause = RETRY_MS_FIRST * 2 ** Math.min(DOUBLINGS_MAX, this.#failuresInRow++ / IN_FLIGHT_MAX) * spread();
    pending.notBefore = deps.clock() + Math.min(RETRY_MS_MAX, delay);
    this.#pausedUntil = Math.max(this.#pausedUntil, deps.clock() + Math.min(RETRY_MS_MAX, pause));
    const wait = Math.max(pending.notBefore, this.#pausedUntil) - deps.clock();
    deps.log(`${describe(pending.intent)} failed, tried again in ${Math.round(wait)} ms: ${fault.message}`);
  }
}

function describe(intent: Intent): string {
  const to = intent.act === 'move' ? ` to ${toText(intent.to)}` : '';
  return `${intent.act} of ${toText(intent.key)}${to} in the store of mount ${intent.mount}`;
}
