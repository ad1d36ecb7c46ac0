import { atAllNames } from './all-names.ts';
import { type Change, CHANGES_MAX, keyText, type Metastore, type RowKey } from '../ports/metastore.ts';

/** Groups of changes that have nothing to do with one another, as many to a commit as go; each group is made whole or not. */
export class RowBatch {
  readonly #metastore: Metastore;
  #groups: (readonly Change[])[] = [];
  #keys = new Set<string>();
  #size = 0;
  /** Groups that were made. */
  changed = 0;

  constructor(metastore: Metastore) {
    this.#metastore = metastore;
  }

  has(key: RowKey): boolean {
    return this.#keys.has(keyText(key));
  }

  async add(changes: readonly Change[]): Promise<void> {
    const group = atAllNames(changes);
    if (group.length === 0) return;
    if (this.#size + group.length > CHANGES_MAX || group.some(({ key }) => this.has(key))) await this.flush();
    this.#groups.push(group);
    this.#size += group.length;
    for (const { key } of group) this.#keys.add(keyText(key));
  }

  /** A row whose condition fails was changed by somebody who knows better; the next sync looks again. */
  async flush(): Promise<void> {
    for (let groups = this.#groups; groups.length > 0;) {
      const result = await this.#metastore.commit(groups.flat());
      if (result.committed) {
        this.changed += groups.length;
        break;
      }
      const failed = new Set(result.failed);
      let at = 0;
      groups = groups.filter((group) => {
        const start = at;
        at += group.length;
        return !group.some((_, i) => failed.has(start + i));
      });
    }
    this.#groups = [];
    this.#keys = new Set();
    this.#size = 0;
  }
}
