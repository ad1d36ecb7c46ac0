import type { Fingerprint, Nanos } from '#shared/model/inode.ts';
import type { StoreAttributes, StoreEntry } from '#shared/ports/under-store.ts';
import type { BytesRange } from './base-blocks.ts';
import { bytesOf, type Place, rangeSource, readInto } from './part-source.ts';
import { type LocalContent, spansOf } from './local-content.ts';

const WINDOW_BYTES = 4 << 20;
/** Node sets the time of a file by a number of seconds that tells quarters of a microsecond: a folder keeps it as nearly as that. */
const TIME_SLACK_NS = 1000n;

interface Ours extends Place {
  readonly content: LocalContent;
  readonly attributes: StoreAttributes;
}

/**
 * The object that stands in the way of an upload, when it is what was to be uploaded: this agent brought it there, and died or lost the
 * answer before it could say so. What is not here of it cannot be compared with a base that is gone; its time vouches for it.
 */
export async function sameObject(ours: Ours): Promise<StoreEntry | undefined> {
  const { store, key, content, attributes } = ours;
  const there = await store.stat(key);
  if (there?.kind !== 'file' || there.size !== content.size || there.fingerprint === undefined) return undefined;
  for (let offset = 0; offset < content.size; offset += WINDOW_BYTES) {
    const spans = spansOf({ offset, length: Math.min(WINDOW_BYTES, content.size - offset) }, content.base?.blocks);
    const here = spans.filter(({ from }) => from === 'file');
    if (here.length < spans.length && !isNearly(there.mtime, attributes.mtime)) return undefined;
    if (!(await areSame(ours, there.fingerprint, here))) return undefined;
  }
  return there;
}

/** What lies between them is asked for with them, and not looked at. */
async function areSame(ours: Ours, fingerprint: Fingerprint, ranges: readonly BytesRange[]): Promise<boolean> {
  const [first, last] = [ranges[0], ranges.at(-1)];
  if (!first || !last) return true;
  const all = { offset: first.offset, length: last.offset + last.length - first.offset };
  const there = Buffer.alloc(all.length);
  if ((await readInto(there, ours, { range: all, fingerprint })) < all.length) return false;
  for (const { offset, length } of ranges) {
    const here = await bytesOf(rangeSource(ours, { fd: ours.content.fd }, { offset, length }));
    if (!there.subarray(offset - all.offset, offset - all.offset + length).equals(here)) return false;
  }
  return true;
}

function isNearly(a: Nanos | undefined, b: Nanos | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const apart = a - b;
  return apart > -TIME_SLACK_NS && apart < TIME_SLACK_NS;
}
