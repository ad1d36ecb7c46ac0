import { LeatError, toLeatError } from '../model/faults.ts';
import { LEASES } from '../model/ids.ts';
import type { MountId } from '../model/inode.ts';
import type { Name } from '../model/names.ts';
import type { RowKey } from '../ports/metastore.ts';
import type { Context } from './context.ts';
import { loadMounts } from './mount-table.ts';
import { type Kept, recordAt, replaceRecord } from './records.ts';

/** A holder that does not renew for so long has died. */
const LEASE_MS = 30_000;
/** A holder takes its own lease for over so much sooner: clocks differ, and a commit takes its time. */
const MARGIN_MS = 5000;
/** How often a holder looks whether others want it. */
const WATCH_MS = 200;
const UNUSED_MS = 5000;
const POLL_MS = 50;
const DRAIN_MS = 10_000;
const PATIENCE_MS = 2 * LEASE_MS;

interface Lease {
  readonly holder: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
  readonly isWanted?: boolean;
}

interface Held {
  /** The number of this holding: acts that began before it have seen paths as they were under another holder. */
  readonly since: number;
  until: number;
  usedAt: number;
  isEnding: boolean;
  readonly ended: Promise<void>;
  readonly end: () => void;
}

/** An act turned out to touch the store of a mount that another process may be working for. */
class MountNeeded extends Error {
  readonly mount: MountId;
  constructor(mount: MountId) {
    super(`mount ${mount} is not held`);
    this.mount = mount;
  }
}

/**
 * Who works for the store of a mount. What a store is owed, and what its answers are worth meanwhile, is known to one process
 * at a time: the one that holds the mount's lease. Rows that are loaded are read, and rows without a store changed, by
 * everybody. A lease stays with its holder until it is unused or wanted elsewhere. Where rows are not shared nobody else is there.
 */
export class MountLeases {
  readonly #held = new Map<MountId, Held>();
  readonly #acquiring = new Map<MountId, Promise<void>>();
  readonly #acts = new Set<Promise<void>>();
  /** Grows with every lease that is taken. */
  count = 0;

  /** Runs an act, and again when it needed a lease that had to be taken first. */
  async holding<Result>(context: Context, act: () => Promise<Result>): Promise<Result> {
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#acts.add(promise);
      let needed: MountId;
      try {
        return await act();
      } catch (error) {
        if (!(error instanceof MountNeeded)) throw error;
        needed = error.mount;
      } finally {
        this.#acts.delete(promise);
        resolve();
      }
      await this.#acquired(context, needed);
    }
  }

  /** Throws what `holding` understands unless the mount is held, since before the act began. */
  demand(context: Context, mount: MountId, began = Infinity): void {
    if (!context.isShared) return;
    const held = this.#held.get(mount);
    const isHeld = held && !held.isEnding && held.since <= began && held.until - MARGIN_MS > context.clock();
    if (!isHeld) throw new MountNeeded(mount);
    held.usedAt = context.clock();
  }

  /** Takes a lease for its own sake: what the store is owed is begun. */
  async hold(context: Context, mount: MountId): Promise<void> {
    if (context.isShared) await this.#acquired(context, mount);
  }

  /** Gives all leases back; what the stores are owed is done before, as far as it can be. */
  async end(context: Context): Promise<void> {
    const until = context.clock() + DRAIN_MS;
    for (const mount of this.#held.keys()) {
      while (context.intents.owes(mount) > 0 && context.clock() < until) await context.sleep(POLL_MS);
      await this.#release(context, mount);
    }
  }

  async #acquired(context: Context, mount: MountId): Promise<void> {
    await this.#held.get(mount)?.ended;
    const running = this.#acquiring.get(mount) ?? this.#acquire(context, mount);
    this.#acquiring.set(mount, running);
    await running.finally(() => this.#acquiring.delete(mount));
  }

  async #acquire(context: Context, mount: MountId): Promise<void> {
    if (this.#held.has(mount)) return;
    await loadMounts(context);
    if (!context.mounted.has(mount)) throw new LeatError('unavailable', `mount ${mount} is not mounted any more`);
    const until = await this.#take(context, mount);
    await context.intents.load(mount);
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const held = { since: ++this.count, until, usedAt: context.clock(), isEnding: false, ended, end };
    this.#held.set(mount, held);
    void this.#watch(context, mount, held);
  }

  async #take(context: Context, mount: MountId): Promise<number> {
    const patience = context.clock() + PATIENCE_MS;
    for (;;) {
      const kept = await leaseOf(context, mount);
      const lease = kept?.value;
      const now = context.clock();
      const isFree = !lease || lease.until <= now || lease.holder === context.name;
      const until = now + LEASE_MS;
      if (isFree && (await write(context, mount, { holder: context.name, until }, kept))) return until;
      if (!isFree && !lease.isWanted) await write(context, mount, { ...lease, isWanted: true }, kept);
      if (now > patience) {
        const what = `the store of mount ${mount} is being worked for by ${lease?.holder ?? 'others'}`;
        throw new LeatError('busy', `${what}, which does not give it up; try again`);
      }
      await context.sleep(context.random() * POLL_MS);
    }
  }

  /** Renews the lease, until it is wanted elsewhere, unused, or lost. */
  async #watch(context: Context, mount: MountId, held: Held): Promise<void> {
    while (!held.isEnding) {
      await context.sleep(WATCH_MS);
      if (held.isEnding) return;
      try {
        const kept = await leaseOf(context, mount);
        const lease = kept?.value;
        const now = context.clock();
        if (lease?.holder !== context.name) return this.#lose(context, mount, held);
        const isUnused = now - held.usedAt > UNUSED_MS && context.intents.owes(mount) === 0;
        if (lease.isWanted || isUnused) return void this.#release(context, mount);
        if (held.until - now > LEASE_MS / 2) continue;
        const until = now + LEASE_MS;
        if (await write(context, mount, { ...lease, until }, kept)) held.until = until;
      } catch (error) {
        context.log(`the lease of mount ${mount} could not be renewed: ${toLeatError(error).message}`);
        if (held.until < context.clock()) return this.#lose(context, mount, held);
      }
    }
  }

  /** Whatever is under way under it ends first; what is still owed is left to the next holder. */
  async #release(context: Context, mount: MountId): Promise<void> {
    const held = this.#held.get(mount);
    if (!held || held.isEnding) return held?.ended;
    held.isEnding = true;
    const listings = [...context.listings.values()].filter((listing) => listing.mount === mount);
    await Promise.allSettled([...this.#acts, ...listings.map(({ done }) => done)]);
    await context.intents.leave(mount);
    try {
      await giveBack(context, mount);
    } catch (error) {
      context.log(`the lease of mount ${mount} was not given back, and ends by itself: ${toLeatError(error).message}`);
    }
    this.#held.delete(mount);
    held.end();
  }

  async #lose(context: Context, mount: MountId, held: Held): Promise<void> {
    context.log(`the lease of mount ${mount} was lost: its store is left to others`);
    held.isEnding = true;
    await context.intents.leave(mount);
    this.#held.delete(mount);
    held.end();
  }
}

const recordKey = (mount: MountId): RowKey => ({ directory: LEASES, name: mount as string as Name });

/** Others may be writing down that they want it, at the very moment. */
async function giveBack(context: Context, mount: MountId): Promise<void> {
  for (;;) {
    const kept = await leaseOf(context, mount);
    if (kept?.value.holder !== context.name) return;
    const { version } = kept;
    const removal = { act: 'remove', key: recordKey(mount), when: { version } } as const;
    if ((await context.metastore.commit([removal])).committed) return;
  }
}

const leaseOf = ({ metastore }: Context, mount: MountId) => recordAt<Lease>(metastore, recordKey(mount));

const write = ({ metastore }: Context, mount: MountId, value: Lease, before: Kept<Lease> | undefined) =>
  replaceRecord(metastore, recordKey(mount), { value, before });
