import { toLeatError } from '../model/faults.ts';
import { type InodeId, QUOTAS } from '../model/ids.ts';
import type { Name } from '../model/names.ts';
import { type Usage, usageOf } from '../model/quota.ts';
import type { Clock } from '../ports/clock.ts';
import type { Metastore, RowKey } from '../ports/metastore.ts';
import { allRows } from './all-rows.ts';
import { recordAt, replaceRecord } from './records.ts';
import type { UsageCount } from './usage-tree.ts';

/** A count is believed so long, and as many times the time that it took: a large tree is not counted all the time. */
const BELIEVED_MS = 60_000;
const BELIEVED_TIMES = 20;

/** In the record of a quota. */
interface Counted extends Usage {
  /** When it began and how long it took, in milliseconds; a record that was never counted has neither. */
  readonly at: number;
  readonly tookMs: number;
}

interface UsageRecordsDeps {
  readonly metastore: Metastore;
  readonly clock: Clock;
  readonly log: (message: string) => void;
  /** Has `count` called by who has the time; absent: it is done here, behind. */
  readonly countElsewhere?: ((id: InodeId) => void) | undefined;
}

export const quotaKey = (id: InodeId): RowKey => ({ directory: QUOTAS, name: id as string as Name });

/**
 * What lies in the trees of quotas, where others change the same rows: it stands in the record of the quota, and is counted anew
 * when somebody asks and the count is old. In between each process adds what it has made itself.
 */
export class UsageRecords implements UsageCount {
  readonly #deps: UsageRecordsDeps;
  readonly #known = new Map<InodeId, Counted>();
  readonly #counting = new Map<InodeId, Promise<void>>();

  constructor(deps: UsageRecordsDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {}

  isNone(): boolean {
    return false;
  }

  async counted(id: InodeId): Promise<void> {
    const found = (await recordAt<Partial<Counted>>(this.#deps.metastore, quotaKey(id)))?.value;
    const { entries = 0, bytes = 0, at, tookMs = 0 } = found ?? {};
    if (at === undefined) return this.count(id);
    if (this.#known.get(id)?.at !== at) this.#known.set(id, { entries, bytes, at, tookMs });
    if (this.#deps.clock() - at > BELIEVED_MS + BELIEVED_TIMES * tookMs) this.#countBehind(id);
  }

  now(id: InodeId): Usage {
    return this.#known.get(id) ?? { entries: 0, bytes: 0 };
  }

  spent(id: InodeId, { entries, bytes }: Usage): void {
    const known = this.#known.get(id);
    if (known) this.#known.set(id, { ...known, entries: known.entries + entries, bytes: known.bytes + bytes });
  }

  /** Walks the tree; into its record, if it has a quota. */
  count(id: InodeId): Promise<void> {
    const running = this.#counting.get(id) ?? this.#count(id).finally(() => this.#counting.delete(id));
    this.#counting.set(id, running);
    return running;
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#counting.values());
  }

  async #count(id: InodeId): Promise<void> {
    const { metastore, clock } = this.#deps;
    const at = clock();
    const usage = await usageBelow(metastore, id);
    const counted = { ...usage, at, tookMs: clock() - at };
    this.#known.set(id, counted);
    const before = await recordAt<Counted>(metastore, quotaKey(id));
    // Whoever was quicker has counted too.
    if (before) await replaceRecord(metastore, quotaKey(id), { value: counted, before });
  }

  #countBehind(id: InodeId): void {
    if (this.#deps.countElsewhere) return this.#deps.countElsewhere(id);
    void this.count(id).catch((error: unknown) =>
      this.#deps.log(`a quota is not counted anew: ${toLeatError(error).message}`),
    );
  }
}

async function usageBelow(metastore: Metastore, root: InodeId): Promise<Usage> {
  let [entries, bytes] = [0, 0];
  const open = [root];
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    for await (const { name, row } of allRows(metastore, directory)) {
      if (row.kind === 'record') continue;
      const usage = usageOf({ directory, name }, row);
      entries += usage.entries;
      bytes += usage.bytes;
      if (row.kind === 'directory') open.push(row.id);
    }
  }
  return { entries, bytes };
}
