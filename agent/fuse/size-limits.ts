import type { Namespace } from '#shared/namespace/namespace.ts';
import type { ChangeFeed } from '#shared/ports/change-feed.ts';
import type { DirtyFile } from '../dirty/dirty-file.ts';
import { UnlimitedDirectories } from './unlimited-directories.ts';

/** How large quotas let written files become. */
export class SizeLimits {
  readonly #namespace: Namespace;
  /** Directories that are in no quota. */
  readonly #unlimited: UnlimitedDirectories;

  constructor({ namespace, feed }: { readonly namespace: Namespace; readonly feed: ChangeFeed }) {
    this.#namespace = namespace;
    this.#unlimited = new UnlimitedDirectories(feed);
  }

  /** What a quota leaves it. Most directories have none, which is known by then. */
  async of(file: DirtyFile): Promise<number | undefined> {
    const { directory } = file.at ?? {};
    if (directory === undefined || this.#unlimited.has(directory)) return undefined;
    const found = file.rowOf && (await this.#namespace.find(file.rowOf));
    if (found?.bytesLeft !== undefined) return found.inode.size + found.bytesLeft;
    this.#unlimited.add(directory);
    return undefined;
  }

  close(): void {
    this.#unlimited.close();
  }
}
