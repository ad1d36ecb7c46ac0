import { invariant } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { CacheKey } from './data-cache.ts';

/** What a content is called in the index. The generation comes first, because ids may hold any byte. */
export function contentName(key: CacheKey): string {
  return `${key.generation}.${key.id}`;
}

/**
 * A *unit* is what eviction takes. What lies under its final name (sealed, or one page on its way there) is one unit, named as
 * the content. A content that is partly here has a unit for each *slice* of 64 MiB, so that a file larger than the cache can
 * pass through it.
 */
export function sliceName(content: string, slice: number): string {
  return `${slice}/${content}`;
}

export interface Unit {
  readonly content: string;
  readonly key: CacheKey;
  /** Absent: the whole content. */
  readonly slice: number | undefined;
}

export function parseUnit(unit: string): Unit {
  const match = /^(?:(\d+)\/)?((\d+)\.([^]*))$/.exec(unit);
  invariant(match, 'a unit is named by contentName or sliceName');
  const [, slice, content = '', generation, id = ''] = match;
  return {
    content,
    key: { id: id as InodeId, generation: Number(generation) },
    slice: slice === undefined ? undefined : Number(slice),
  };
}

/** The content that a slice belongs to; undefined for a whole content. */
export function partOf(unit: string): string | undefined {
  return /^\d+\//.test(unit) ? unit.slice(unit.indexOf('/') + 1) : undefined;
}

/** FNV-1a: spreads ids that differ in their last byte only. */
export function hashOf(unit: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < unit.length; at++) hash = Math.imul(hash ^ unit.charCodeAt(at), 0x0100_0193);
  return hash >>> 0;
}
