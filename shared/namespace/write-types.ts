import { LeatError } from '../model/faults.ts';
import type { Inode } from '../model/inode.ts';
import { type Path, toText } from '../model/names.ts';
import { WRITE_TYPE_OPTION, WRITE_TYPE_XATTR, WRITE_TYPES, type WriteType } from '../model/write-types.ts';
import { type Context, mountedAt, type Place } from './context.ts';

/** `way`: from the root to the file. What is said nearest to the file counts. */
export function writeTypeOf(context: Context, way: readonly Place[]): WriteType {
  const origin = way.at(-1)?.origin;
  if (!origin) return 'MUST_CACHE';
  const said = way.findLast(({ inode }) => inode.xattrs?.[WRITE_TYPE_XATTR] !== undefined || inode.mount !== undefined);
  const ofMount = mountedAt(context, origin.mount).mount.options[WRITE_TYPE_OPTION];
  return parsed(said?.inode.xattrs?.[WRITE_TYPE_XATTR] ?? ofMount) ?? 'CACHE_THROUGH';
}

const parsed = (text: string | undefined): WriteType | undefined => WRITE_TYPES.find((type) => type === text);

export function demandWriteType(what: string, text: string): void {
  if (parsed(text)) return;
  throw new LeatError('invalid', `${what}: '${toText(text)}' is no write type; there are ${WRITE_TYPES.join(', ')}`);
}

export function demandWriteTypeXattr(path: Path, { kind }: Inode, name: string, value: string): void {
  if (name !== WRITE_TYPE_XATTR) return;
  demandWriteType(`${toText(path)}: ${name}`, value);
  if (kind !== 'file' && kind !== 'directory') {
    throw new LeatError('invalid', `${toText(path)}: ${name} is of files and directories`);
  }
}
