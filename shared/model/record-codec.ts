import type { RecordRow } from './inode.ts';
import { CODEC_VERSION, KINDS } from './row-layout.ts';

/** 0 u8 codec version · 1 u8 kind · 2 u16 flags · 4 u32 row version · 8 f64 end of its life, told by a flag · body, UTF-8. */
const HEAD_BYTES = 8;
const EXPIRES = 1;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function decodeRecord(view: DataView, bytes: Uint8Array): RecordRow {
  const expires = view.getUint16(2, true) & EXPIRES ? { expiresAt: view.getFloat64(HEAD_BYTES, true) } : {};
  const start = HEAD_BYTES + ('expiresAt' in expires ? 8 : 0);
  return {
    kind: 'record',
    version: view.getUint32(4, true),
    body: decoder.decode(bytes.subarray(start)),
    ...expires,
  };
}

export function encodeRecord(row: RecordRow): Uint8Array {
  const body = encoder.encode(row.body);
  const { expiresAt } = row;
  const start = HEAD_BYTES + (expiresAt === undefined ? 0 : 8);
  const bytes = new Uint8Array(start + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, CODEC_VERSION);
  view.setUint8(1, KINDS.indexOf('record'));
  view.setUint16(2, expiresAt === undefined ? 0 : EXPIRES, true);
  view.setUint32(4, row.version, true);
  if (expiresAt !== undefined) view.setFloat64(HEAD_BYTES, expiresAt, true);
  bytes.set(body, start);
  return bytes;
}
