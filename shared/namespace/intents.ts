import { LeatError } from '../model/faults.ts';
import { type InodeId, INTENTS } from '../model/ids.ts';
import type { MountId, Origin, RecordRow, StoreKey } from '../model/inode.ts';
import { type Name, toText } from '../model/names.ts';
import type { Change } from '../ports/metastore.ts';
import { allRows } from './all-rows.ts';
import { type Claimant, Claims } from './claims.ts';
import type { Context, NamespaceDeps, Place } from './context.ts';
import { type Intent, keysOf } from './intent.ts';
import { IntentKeys, type Observation } from './intent-keys.ts';
import { type Failed, IntentLane } from './intent-lane.ts';
import type { MountLeases } from './mount-leases.ts';

/** An intent on its way into a commit. */
export interface Promised {
  readonly change: Change;
  /** To be called when the commit has answered, before anything else is awaited, and awaited itself. */
  accept(): Promise<void>;
}

/** Who changes rows that a store is told of. */
export interface Debtor {
  /** `way`: the directories that were gone through to the key. */
  promise(intent: Intent, way: readonly Place[]): Promised;
  /** Begun before any path was resolved. */
  readonly observation: Observation;
}

/** Whose turn it is to displace what lies in a mount. False: not this one's; the act is to answer, and is begun again. */
export interface Turn {
  isOf(mount: MountId | undefined): boolean;
}

/** Whatever was owed below `key` is owed below `to` instead, or, without one, to nobody. */
interface Displacement {
  /** Of the directory. Another one may have its name since. */
  readonly id: InodeId;
  readonly mount: MountId;
  readonly key: StoreKey;
  readonly to?: StoreKey;
}

interface Owing {
  /** How many displacements there had been when it began to resolve its path. */
  readonly since: number;
  /** How many leases had been taken. */
  readonly began: number;
  /** Takes away what is noted of promises whose commit has not been made. */
  readonly unaccepted: Set<() => void>;
  readonly claimant: Claimant;
}

const SETTLE_MS_MAX = 60_000;
const SETTLE_POLL_MS = 50;

/** Everything owed to the stores: a lane for each mount. */
export class Intents {
  readonly failed: Failed[] = [];
  /** What readers of the stores must know of it. */
  readonly keys = new IntentKeys();
  readonly #deps: NamespaceDeps;
  readonly #leases: MountLeases;
  readonly #lanes = new Map<MountId, IntentLane>();
  #context: Context | undefined;
  /** Those that a promise under way may have to follow; so many came before the first of them. */
  #displacements: Displacement[] = [];
  #displacementsPast = 0;
  readonly #debtors = new Set<Owing>();
  /** Of keys with a promise that may be in a commit now. */
  readonly #claims = new Claims();
  #isStopped = false;
  readonly #turns = new Map<MountId, Promise<void>>();

  constructor(deps: NamespaceDeps, leases: MountLeases) {
    this.#deps = deps;
    this.#leases = leases;
  }

  /** Reads what an earlier process has left, and begins. Where others are at work too, each mount has to be held first. */
  async start(context: Context): Promise<void> {
    this.#context = context;
    if (!context.isShared) await this.#load();
  }

  /** What is owed to the store of a mount that has come to be held. */
  async load(mount: MountId): Promise<void> {
    await this.#load(`${mount}.` as Name);
  }

  /** The store is left to another process, with what it is still owed. */
  async leave(mount: MountId): Promise<void> {
    await this.#lanes.get(mount)?.leave();
    this.#lanes.delete(mount);
  }

  async #load(prefix?: Name): Promise<void> {
    for await (const { name, row } of allRows(this.#deps.metastore, INTENTS, prefix)) {
      if (prefix !== undefined && !name.startsWith(prefix)) return;
      if (row.kind !== 'record') continue;
      const intent = JSON.parse(row.body) as Intent;
      this.#accept(name, intent, this.keys.noteIntent(intent));
    }
  }

  #demandHeld(mount: MountId, began?: number): void {
    if (this.#context) this.#leases.demand(this.#context, mount, began);
  }

  /** Waits for what is in flight, begins nothing more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all([...this.#lanes.values()].map((lane) => lane.stop()));
  }

  /** For acts upon whole trees: what is left of them is done by the process that comes after. */
  demandRunning(): void {
    if (this.#isStopped) throw new LeatError('interrupted', 'the agent is being shut down');
  }

  /**
   * Runs a change of rows that owes a store something at keys which it learns by resolving a path. When a directory on that
   * path is moved or removed meanwhile, what is promised follows it. What is promised at one key is promised by one at a time,
   * so that the store is told in the order of the commits, whichever of their answers comes first: `act` may be begun anew.
   */
  owing<Result>(act: (debtor: Debtor) => Promise<Result>): Promise<Result> {
    return this.#claims.claiming((claimant) => this.#owing(act, claimant));
  }

  async #owing<Result>(act: (debtor: Debtor) => Promise<Result>, claimant: Claimant): Promise<Result> {
    const debtor = {
      since: this.#displacementsPast + this.#displacements.length,
      began: this.#leases.count,
      unaccepted: new Set<() => void>(),
      claimant,
    };
    const observation = this.keys.observe();
    this.#debtors.add(debtor);
    try {
      return await act({ promise: (intent, way) => this.#promise(intent, way, debtor), observation });
    } finally {
      observation.end();
      this.#debtors.delete(debtor);
      for (const settle of debtor.unaccepted) settle();
      this.#forgetDisplacements();
    }
  }

  /**
   * As `owing`, for renames and removals of trees: one at a time in each mount, so that their keys are what they were. Which
   * mount it is shows only on the way: an act that finds itself without its turn is begun again when it has it.
   */
  async displacing<Result>(act: (debtor: Debtor, turn: Turn) => Promise<Result>): Promise<Result> {
    let wanted: MountId | undefined;
    const isOf = (mount: MountId | undefined) => {
      wanted = mount;
      return mount === undefined;
    };
    const result = await this.owing((debtor) => act(debtor, { isOf }));
    return wanted === undefined ? result : this.#inTurn(wanted, act);
  }

  async #inTurn<Result>(mount: MountId, act: (debtor: Debtor, turn: Turn) => Promise<Result>): Promise<Result> {
    this.#demandHeld(mount);
    const before = this.#turns.get(mount);
    const turn = Promise.withResolvers<void>();
    this.#turns.set(mount, turn.promise);
    try {
      await before;
      return await this.owing((debtor) => act(debtor, { isOf: (wanted) => wanted === mount }));
    } finally {
      turn.resolve();
      if (this.#turns.get(mount) === turn.promise) this.#turns.delete(mount);
    }
  }

  get pending(): number {
    return [...this.#lanes.values()].reduce((sum, lane) => sum + lane.pending, 0);
  }

  owes(mount: MountId): number {
    return this.#lanes.get(mount)?.pending ?? 0;
  }

  /** Resolves when nothing more is owed at, above or below the keys; true if that took waiting. Throws `busy` in the end. */
  async settled(origins: readonly Origin[]): Promise<boolean> {
    const until = this.#deps.clock() + SETTLE_MS_MAX;
    const isOwed = () => origins.find((origin) => this.keys.isPending(origin));
    let hasWaited = false;
    for (let owed = isOwed(); owed; owed = isOwed()) {
      if (this.#deps.clock() > until) {
        const what = `${toText(owed.key)}: its store is still owed earlier changes`;
        throw new LeatError('busy', `${what}; see \`leat info\`, and try again when the store answers`);
      }
      hasWaited = true;
      await Promise.race([this.keys.nextDone, this.#deps.sleep(SETTLE_POLL_MS)]);
    }
    return hasWaited;
  }

  /** Keeps intents away from a key that is being written. Nothing may be pending there. */
  hold(origin: Origin): () => void {
    this.#demandHeld(origin.mount);
    const lane = this.#laneOf(origin.mount);
    const settle = this.keys.note([origin], false);
    const release = lane.hold(origin);
    return () => {
      release();
      settle();
    };
  }

  /** It counts from now on: between the commit and its answer the rows say already what the store does not. */
  #promise(intent: Intent, way: readonly Place[], { since, began, unaccepted, claimant }: Owing): Promised {
    this.#demandHeld(intent.mount, began);
    for (const key of keysOf(intent)) this.#claims.claim(`${intent.mount}\0${key}`, claimant);
    // By mount, then in order: a lane reads its own, page by page.
    const name = `${intent.mount}.${this.#deps.newToken()}` as Name;
    const key = { directory: INTENTS, name };
    const settle = this.keys.noteIntent(intent);
    unaccepted.add(settle);
    return {
      change: { act: 'put', key, when: 'absent', row: recordOf(intent) },
      accept: async () => {
        unaccepted.delete(settle);
        const passed = this.#displacements.slice(Math.max(0, since - this.#displacementsPast));
        const onTheWay = passed.filter(({ id }) => way.some(({ inode }) => inode.id === id));
        const followed = onTheWay.reduce<Intent | undefined>((now, each) => now && follow(now, each), intent);
        if (followed === intent) return this.#accept(name, intent, settle);
        if (followed) this.#accept(name, followed, this.keys.noteIntent(followed));
        settle();
        const change = followed ? ({ act: 'put', row: recordOf(followed) } as const) : ({ act: 'remove' } as const);
        await this.#deps.metastore.commit([{ ...change, key, when: 'any' }]);
      },
    };
  }

  #accept(name: Name, intent: Intent, settle: () => void): void {
    const id = intent.act === 'move' ? intent.row.id : intent.act === 'removeTree' ? intent.id : undefined;
    if (id !== undefined) this.#displacements.push({ ...intent, id });
    this.#forgetDisplacements();
    this.#laneOf(intent.mount).accept(name, intent, settle);
  }

  #forgetDisplacements(): void {
    const [oldest] = this.#debtors;
    const needless = oldest ? oldest.since - this.#displacementsPast : this.#displacements.length;
    this.#displacements.splice(0, needless);
    this.#displacementsPast += needless;
  }

  #laneOf(mount: MountId): IntentLane {
    const found = this.#lanes.get(mount);
    if (found) return found;
    const lane = new IntentLane({ mount, deps: this.#deps, context: () => this.#context, failed: this.failed });
    this.#lanes.set(mount, lane);
    return lane;
  }
}

function recordOf(intent: Intent): RecordRow {
  return { kind: 'record', version: 1, body: JSON.stringify(intent) };
}

/** What an intent means after a displacement that was committed before it, but not known to it. */
function follow(intent: Intent, { mount, key, to }: Displacement): Intent | undefined {
  const isBelow = intent.mount === mount && intent.key.startsWith(`${key}/`);
  // Renames and removals of trees take turns, and have seen it.
  if (!isBelow || intent.act === 'move' || intent.act === 'removeTree') return intent;
  return to === undefined ? undefined : { ...intent, key: `${to}${intent.key.slice(key.length)}` as StoreKey };
}
