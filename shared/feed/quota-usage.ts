import { type InodeId, QUOTAS } from '../model/ids.ts';
import type { Row } from '../model/inode.ts';
import { type Usage, usageOf } from '../model/quota.ts';
import { addToRecord } from '../namespace/usage-records.ts';
import type { RowChange } from '../ports/change-feed.ts';
import type { Clock } from '../ports/clock.ts';
import type { Metastore, RowKey } from '../ports/metastore.ts';
import { isOfFiles } from './changes.ts';
import { DirectoryPaths } from './directory-paths.ts';

/** Whether there is any quota at all is asked so often. */
const NONE_MS = 10_000;

interface Growth extends Usage {
  /** A directory has come with what was in it, or gone: how much that is only a walk can tell. */
  readonly isUnsure: boolean;
}

/**
 * Adds what the feed tells to what is known of the trees of quotas. A change that is told twice is added twice, and one of while a
 * tree is walked perhaps too: that stays until the tree is walked again.
 */
export class QuotaUsage {
  readonly #metastore: Metastore;
  readonly #clock: Clock;
  #noneAt = -Infinity;

  constructor({ metastore, clock }: { readonly metastore: Metastore; readonly clock: Clock }) {
    this.#metastore = metastore;
    this.#clock = clock;
  }

  async fold(changes: readonly RowChange[]): Promise<void> {
    if (await this.#isNone()) return;
    const paths = new DirectoryPaths(this.#metastore);
    const growths = new Map<InodeId, Growth>();
    for (const [id, ofIt] of Map.groupBy(changes.filter(isOfFiles), ({ key }) => key.directory)) {
      const growth = ofIt.map(growthBy).reduce(sum);
      for (const { inode } of (await paths.wayTo(id)) ?? []) {
        if (inode.quota) growths.set(inode.id, sum(growths.get(inode.id) ?? NO_GROWTH, growth));
      }
    }
    for (const [id, growth] of growths)
      await addToRecord({ metastore: this.#metastore, clock: this.#clock }, id, growth);
  }

  async #isNone(): Promise<boolean> {
    const now = this.#clock();
    if (now - this.#noneAt < NONE_MS) return true;
    const isNone = (await this.#metastore.list(QUOTAS, { limit: 1 })).length === 0;
    if (isNone) this.#noneAt = now;
    return isNone;
  }
}

const NO_GROWTH: Growth = { entries: 0, bytes: 0, isUnsure: false };

const sum = (a: Growth, b: Growth): Growth => ({
  entries: a.entries + b.entries,
  bytes: a.bytes + b.bytes,
  isUnsure: a.isUnsure || b.isUnsure,
});

function growthBy({ key, before, after }: RowChange): Growth {
  const [old, now] = [usageAt(key, before), usageAt(key, after)];
  const isMoved = idOfDirectory(before) !== idOfDirectory(after) && (before !== undefined || after?.version !== 1);
  return { entries: now.entries - old.entries, bytes: now.bytes - old.bytes, isUnsure: isMoved };
}

const usageAt = (key: RowKey, row: Row | undefined): Usage =>
  row && row.kind !== 'record' ? usageOf(key, row) : NO_GROWTH;

const idOfDirectory = (row: Row | undefined): InodeId | undefined => (row?.kind === 'directory' ? row.id : undefined);
