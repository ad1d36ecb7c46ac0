import type { Fingerprint } from '#shared/model/inode.ts';
import { partWithin } from '#shared/ports/object-parts.ts';
import { PAGE_BYTES, type PageMap } from '../cache/page-map.ts';

/** The object from which a file that is partly here was made. */
export interface Base {
  readonly fingerprint: Fingerprint;
  /** How many of its first bytes still count: behind them, what is not here is a hole. */
  readonly size: number;
  /** Pages that are in the local file. Those behind the end of the map all are. */
  readonly here: PageMap;
  /** Of the pages that are here, those that differ from the base; absent: all may. */
  readonly changed?: PageMap;
}

/** The bytes of a file, as far as they are here; the others are in its base, unchanged. */
export interface LocalContent {
  readonly fd: number;
  readonly size: number;
  readonly base?: Base;
}

/** A run of bytes, and where they are. */
export interface Span {
  readonly from: 'file' | 'base';
  readonly offset: number;
  readonly length: number;
}

export interface PartPlan {
  readonly part: number;
  readonly length: number;
  /** Absent: the store copies the part from the base by itself. */
  readonly spans?: readonly Span[];
}

type Layout = Pick<LocalContent, 'size' | 'base'>;

/** A part is copied when nothing of it has changed, and put together from the file and the base otherwise. */
export function planPart(part: number, { size, base }: Layout): PartPlan {
  const { offset, length } = partWithin(part, size);
  if (!base) return { part, length, spans: [{ from: 'file', offset, length }] };
  const pages = pagesOver(offset, offset + length);
  const isCopied = offset + length <= base.size && pages.every(({ page }) => isUnchanged(base, page));
  return isCopied ? { part, length } : { part, length, spans: spansOf(base, offset, offset + length) };
}

/** Where the bytes of a range are; neighbours that lie in the same place are one span. */
export function spansOf(base: Base | undefined, start: number, end: number): Span[] {
  const spans: Span[] = [];
  for (const { page, offset, length } of pagesOver(start, end)) {
    const from = !base || isHere(base, page) ? 'file' : 'base';
    const last = spans.at(-1);
    if (last?.from === from) spans[spans.length - 1] = { ...last, length: last.length + length };
    else spans.push({ from, offset, length });
  }
  return spans;
}

const isHere = ({ here }: Base, page: number): boolean => page >= here.pages || here.has(page);

function isUnchanged(base: Base, page: number): boolean {
  return !isHere(base, page) || (base.changed !== undefined && page < base.changed.pages && !base.changed.has(page));
}

/** The pages of a range, and what of each lies within it. */
function pagesOver(start: number, end: number): { page: number; offset: number; length: number }[] {
  const pages = [];
  for (let offset = start; offset < end;) {
    const page = Math.floor(offset / PAGE_BYTES);
    const length = Math.min(end, (page + 1) * PAGE_BYTES) - offset;
    pages.push({ page, offset, length });
    offset += length;
  }
  return pages;
}
