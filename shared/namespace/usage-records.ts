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
const UNSURE_MS = 10_000;
const BELIEVED_TIMES = 20;

/** In the record of a quota. */
interface Counted extends Usage {
  /** When it began and how long it took, in milliseconds; a record that was never counted has neither. */
  readonly at: number;
  readonly tookMs: number;
  /** What has been added since may be less or more. */
  readonly isUnsure?: boolean;
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
  readonly #known = new Map<InodeId, Counted & { readonly version: number }>();
  readonly #counting = new Map<InodeId, Promise<void>>();

  constructor(deps: UsageRecordsDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {}

  isNone(): boolean {
    return false;
  }

  async counted(id: InodeId): Promise<void> {
    const { value, version = 0 } = (await recordAt<Partial<Counted>>(this.#deps.metastore, quotaKey(id))) ?? {};
    const { entries = 0, bytes = 0, at, tookMs = 0, isUnsure = false } = value ?? {};
    if (at === undefined) return this.count(id);
    if (this.#known.get(id)?.version !== version) this.#known.set(id, { entries, bytes, at, tookMs, version });
    const believedMs = isUnsure ? UNSURE_MS : BELIEVED_MS;
    if (this.#deps.clock() - at > believedMs + BELIEVED_TIMES * tookMs) this.#countBehind(id);
  }

  now(id: InodeId): Usage {
    const { entries = 0, bytes = 0 } = this.#known.get(id) ?? {};
    return { entries, bytes };
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
    this.#known.set(id, { ...counted, version: 0 });
    for (;;) {
      const before = await recordAt<Partial<Counted>>(metastore, quotaKey(id));
      // Counted by another meanwhile, or a quota no more.
      if (!before || (before.value.at ?? -Infinity) > at) return;
      if (await replaceRecord(metastore, quotaKey(id), { value: counted, before })) return;
    }
  }

  #countBehind(id: InodeId): void {
    if (this.#deps.countElsewhere) return this.#deps.countElsewhere(id);
    void this.count(id).catch((error: unknown) =>
      this.#deps.log(`a quota is not counted anew: ${toLeatError(error).message}`),
    );
  }
}

/** What has come to the tree of a quota, and gone, since it was counted. */
export async function addToRecord(
  { metastore, clock }: Pick<UsageRecordsDeps, 'metastore' | 'clock'>,
  id: InodeId,
  growth: Usage & { readonly isUnsure: boolean },
): Promise<void> {
  for (;;) {
    const before = await recordAt<Counted>(metastore, quotaKey(id));
    if (before?.value.at === undefined) return;
    const { value } = before;
    // What is told so soon may have been met by the walk.
    const isUnsure = growth.isUnsure || clock() - value.at < UNSURE_MS;
    const sum = (measure: keyof Usage) => Math.max(0, value[measure] + growth[measure]);
    const now = { ...value, entries: sum('entries'), bytes: sum('bytes'), ...(isUnsure && { isUnsure }) };
    if (await replaceRecord(metastore, quotaKey(id), { value: now, before })) return;
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
