import { PAGE_BYTES, PageMap, pagesOf } from './page-map.ts';
import { UNSYNCED_STAMP } from './sealed.ts';

/**
 * A content that is partly here carries its page map behind its last byte: one file, one descriptor, nothing that can be
 * paired wrongly. The trailer is the bitmap followed by a header of fixed size, which is found from the end of the file:
 * magic u32, flags u32, boot stamp u32, page size u32, size of the content f64.
 */
export interface Trailer {
  readonly size: number;
  /** Someone was writing to the file when the trailer was written; set while a content is open. */
  readonly open: boolean;
  /** The trailer was written since this machine has booted: what it says is in memory even if not on the disk. */
  readonly thisBoot: boolean;
  readonly map: PageMap;
}

const MAGIC = 0x4c50_4d31;
const OPEN = 1;
const ALIGN = 4096;
export const HEADER_BYTES = 24;

export function bitmapOffset(size: number): number {
  return Math.ceil(size / ALIGN) * ALIGN;
}

export function partLength(size: number): number {
  return bitmapOffset(size) + Math.ceil(pagesOf(size) / 8) + HEADER_BYTES;
}

/** The bytes from `bitmapOffset` to the end of the file. */
export function encodeTrailer(size: number, map: PageMap, open: boolean): Uint8Array {
  const bytes = new Uint8Array(map.bits.length + HEADER_BYTES);
  bytes.set(map.bits);
  const view = new DataView(bytes.buffer, map.bits.length);
  view.setUint32(0, MAGIC);
  view.setUint32(4, open ? OPEN : 0);
  view.setUint32(8, UNSYNCED_STAMP);
  view.setUint32(12, PAGE_BYTES);
  view.setFloat64(16, size);
  return bytes;
}

/** The size of the content that a header speaks of; undefined when it is no header, or one of another layout. */
export function contentSize(header: Uint8Array): number | undefined {
  if (header.length !== HEADER_BYTES) return undefined;
  const view = new DataView(header.buffer, header.byteOffset);
  const size = view.getFloat64(16);
  const known = view.getUint32(0) === MAGIC && view.getUint32(12) === PAGE_BYTES;
  return known && Number.isSafeInteger(size) && size > 0 ? size : undefined;
}

/** Reads what `encodeTrailer` wrote; undefined unless it belongs to a content of this size. */
export function decodeTrailer(bytes: Uint8Array, size: number): Trailer | undefined {
  const header = bytes.subarray(bytes.length - HEADER_BYTES);
  const bitmap = bytes.slice(0, bytes.length - HEADER_BYTES);
  if (contentSize(header) !== size || bitmap.length !== Math.ceil(pagesOf(size) / 8)) return undefined;
  const view = new DataView(header.buffer, header.byteOffset);
  return {
    size,
    open: (view.getUint32(4) & OPEN) !== 0,
    thisBoot: view.getUint32(8) === UNSYNCED_STAMP,
    map: new PageMap(pagesOf(size), bitmap),
  };
}
