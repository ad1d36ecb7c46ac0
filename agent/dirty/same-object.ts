import type { Fingerprint } from '#shared/model/inode.ts';
import type { StoreAttributes, StoreEntry } from '#shared/ports/under-store.ts';
import { bytesOf, type Place, readInto, spanSource } from './part-source.ts';
import { type LocalContent, type Span, spansOf } from './upload-plan.ts';

const WINDOW_BYTES = 4 << 20;

interface Ours extends Place {
  readonly content: LocalContent;
  readonly attributes: StoreAttributes;
}

/**
 * The object that stands in the way of an upload, when it is what was to be uploaded: this agent brought it there, and died or lost the
 * answer before it could say so. What is not here of it cannot be compared with a base that is gone; the time to the nanosecond vouches for it.
 */
export async function sameObject(ours: Ours): Promise<StoreEntry | undefined> {
  const { store, key, content, attributes } = ours;
  const there = await store.stat(key);
  if (there?.kind !== 'file' || there.size !== content.size || there.fingerprint === undefined) return undefined;
  const spans = spansOf(content.base, 0, content.size);
  const local = spans.filter(({ from }) => from === 'file');
  if (local.length < spans.length && there.mtime !== attributes.mtime) return undefined;
  for (const span of local) if (!(await isSame(ours, there.fingerprint, span))) return undefined;
  return there;
}

async function isSame(ours: Ours, fingerprint: Fingerprint, { offset, length }: Span): Promise<boolean> {
  const { content } = ours;
  for (let at = offset; at < offset + length; at += WINDOW_BYTES) {
    const range = { offset: at, length: Math.min(WINDOW_BYTES, offset + length - at) };
    const here = await bytesOf(spanSource(ours, content, [{ from: 'file', ...range }]));
    const there = Buffer.alloc(range.length);
    const count = await readInto(there, ours, { range, fingerprint });
    if (count < range.length || !there.equals(here)) return false;
  }
  return true;
}
