import { isFault, toLeatError } from '../model/faults.ts';
import { INTENTS } from '../model/ids.ts';
import type { InodeKind, MountId, RecordRow, StoreKey } from '../model/inode.ts';
import { type Name, toText } from '../model/names.ts';
import type { Change, RowKey } from '../ports/metastore.ts';
import type { StoreAttributes } from '../ports/under-store.ts';
import type { Context, NamespaceDeps } from './context.ts';
import { carryOut } from './intent-acts.ts';

/** What a store is still owed. Written in the commit that promised it, carried out behind, in order per path. */
export type Intent = { readonly mount: MountId; readonly key: StoreKey } & (
  | { readonly act: 'remove'; readonly kind: InodeKind }
  | { readonly act: 'removeTree' }
  | { readonly act: 'makeDirectory'; readonly attributes: StoredAttributes }
  | { readonly act: 'makeSymlink'; readonly target: string; readonly row: RowKey }
  | { readonly act: 'setAttributes'; readonly attributes: StoredAttributes; readonly row: RowKey }
  /** `key` is where the bytes are, `to` where they shall be; `row` has moved already. */
  | { readonly act: 'move'; readonly to: StoreKey; readonly kind: InodeKind; readonly row: RowKey }
);

/** JSON has no bigint: the time is text. */
export type StoredAttributes = Omit<StoreAttributes, 'mtime'> & { readonly mtime?: string };

const IN_FLIGHT_MAX = 16;
const SCAN_MAX = 1000;
const PAGE = 1000;
const FAILED_MAX = 100;
const RETRY_MS_MAX = 60_000;
const RETRY_MS_FIRST = 200;

interface Pending {
  readonly name: Name;
  readonly intent: Intent;
  attempts: number;
  notBefore: number;
  isRunning: boolean;
}

export interface Failed {
  readonly what: string;
  readonly reason: string;
}

export interface Intents {
  /** The change that belongs into the commit; `accept` it once that has committed. */
  promise(intent: Intent): { readonly change: Change; accept(): void };
  /** True while something is owed at, above or below the key: what the store says there is not the truth yet. */
  covers(mount: MountId, key: StoreKey): boolean;
  owes(mount: MountId): number;
  /** Resolves when nothing more is owed at, above or below the key. */
  settled(mount: MountId, key: StoreKey): Promise<void>;
  readonly pending: number;
  readonly failed: readonly Failed[];
  /** Reads what an earlier process has left, and begins. */
  start(context: Context): Promise<void>;
  /** Waits for what is in flight, begins nothing more. */
  stop(): Promise<void>;
}

export function createIntents(deps: NamespaceDeps): Intents {
  const queue = new Map<Name, Pending>();
  const failed: Failed[] = [];
  const running = new Set<Promise<void>>();
  let context: Context | undefined;
  let isStopped = false;
  let wake: (() => void)[] = [];

  const overlaps = (intent: Intent, mount: MountId, key: StoreKey): boolean =>
    intent.mount === mount && touches(intent).some((each) => isRelated(each, key));

  function pump(): void {
    if (!context || isStopped) return;
    const earlier: Pending[] = [];
    let scanned = 0;
    for (const pending of queue.values()) {
      if (running.size >= IN_FLIGHT_MAX || ++scanned > SCAN_MAX) return;
      const isFree = !earlier.some((each) =>
        touches(pending.intent).some((key) => overlaps(each.intent, pending.intent.mount, key)),
      );
      earlier.push(pending);
      if (isFree && !pending.isRunning && pending.notBefore <= deps.clock()) launch(context, pending);
    }
  }

  function launch(context: Context, pending: Pending): void {
    pending.isRunning = true;
    const run = attempt(context, pending).finally(() => {
      running.delete(run);
      pending.isRunning = false;
      pump();
    });
    running.add(run);
  }

  async function attempt(context: Context, pending: Pending): Promise<void> {
    try {
      await carryOut(context, pending.intent);
      await forget(context, pending);
    } catch (error) {
      if (!isFault(error, 'denied', 'readOnly', 'notPermitted', 'invalid', 'unsupported')) {
        retryLater(pending, error);
        return;
      }
      failed.push({ what: describe(pending.intent), reason: error.message });
      failed.splice(0, failed.length - FAILED_MAX);
      deps.log(`${describe(pending.intent)} cannot be done, and is given up: ${error.message}`);
      await forget(context, pending);
    }
  }

  async function forget(context: Context, { name }: Pending): Promise<void> {
    await context.metastore.commit([{ act: 'remove', key: { directory: INTENTS, name }, when: 'any' }]);
    queue.delete(name);
    for (const go of wake.splice(0)) go();
  }

  function retryLater(pending: Pending, error: unknown): void {
    const delay = Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** pending.attempts++) * (0.5 + Math.random() / 2);
    pending.notBefore = deps.clock() + delay;
    deps.log(
      `${describe(pending.intent)} failed, tried again in ${Math.round(delay)} ms: ${toLeatError(error).message}`,
    );
    void deps.sleep(delay).then(pump);
  }

  function accept(name: Name, intent: Intent): void {
    queue.set(name, { name, intent, attempts: 0, notBefore: 0, isRunning: false });
    pump();
  }

  return {
    failed,
    get pending() {
      return queue.size;
    },
    promise(intent) {
      const name = deps.newToken() as Name;
      const row: RecordRow = { kind: 'record', version: 1, body: JSON.stringify(intent) };
      return {
        change: { act: 'put', key: { directory: INTENTS, name }, when: 'absent', row },
        accept: () => accept(name, intent),
      };
    },
    covers: (mount, key) => queue.size > 0 && [...queue.values()].some(({ intent }) => overlaps(intent, mount, key)),
    owes: (mount) => [...queue.values()].filter(({ intent }) => intent.mount === mount).length,
    async settled(mount, key) {
      while ([...queue.values()].some(({ intent }) => overlaps(intent, mount, key))) {
        await new Promise<void>((resolve) => wake.push(resolve));
      }
    },
    async start(started) {
      context = started;
      for (let after: Name | undefined; ;) {
        const rows = await deps.metastore.list(INTENTS, { ...(after !== undefined && { after }), limit: PAGE });
        for (const { name, row } of rows) if (row.kind === 'record') accept(name, JSON.parse(row.body) as Intent);
        if (rows.length < PAGE) return;
        after = rows.at(-1)?.name;
      }
    },
    async stop() {
      isStopped = true;
      await Promise.all(running);
    },
  };
}

function touches(intent: Intent): readonly StoreKey[] {
  return intent.act === 'move' ? [intent.key, intent.to] : [intent.key];
}

function isRelated(a: StoreKey, b: StoreKey): boolean {
  return a === b || a === '' || b === '' || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}

function describe(intent: Intent): string {
  const to = intent.act === 'move' ? ` to ${toText(intent.to)}` : '';
  return `${intent.act} of ${toText(intent.key)}${to} in the store of mount ${intent.mount}`;
}
