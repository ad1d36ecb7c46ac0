import type { Name } from '#shared/model/names.ts';
import type { HotAttributes } from '#shared/model/row-codec.ts';
import type { Reads } from './open-files.ts';
import type { Unique } from './requests.ts';
import type { SessionMemory } from './session-memory.ts';

const FILE = 2;
const DIRECTORY = 3;
const HANDLE = 4;
const NODE = 8;
const FROM = 16;
const FLAGS = 17;
const HAS_ATTRIBUTES = 18;
const BACKING = 20;
const UNIQUE = 24;
const ATTRIBUTES = 32;
const FILE_BYTES = 160;
const WRITER = 1;
const DIRECT = 2;
const FROMS = ['nothing', 'node', 'kernel'] as const;
const MARKS = [16, 296] as const;
const DIRECTORY_BYTES = 576;
const NO_RESEND = 0x7fff_ffff;

/** An open file as the successor has to know it: what is not read by the kernel itself it finds again by its node. */
export interface KeptFile {
  readonly handle: number;
  readonly node: number;
  readonly reads: Extract<Reads, { readonly from: (typeof FROMS)[number] }>;
  readonly isWriter: boolean;
  readonly isDirect: boolean;
  /** Of the request that opened it. */
  readonly unique: Unique;
  /** Of a file that may have no row any more. */
  readonly attributes: HotAttributes | undefined;
}

/** How far a directory has been read: the entry before that offset. */
export interface Mark {
  readonly offset: number;
  readonly name: Name;
}

export interface KeptDirectory {
  readonly handle: number;
  readonly node: number;
  readonly marks: readonly Mark[];
}

/** What the kernel has open, for the successor of this process. */
export class KeptHandles {
  readonly #memory: SessionMemory;

  constructor(memory: SessionMemory) {
    this.#memory = memory;
  }

  addFile({ handle, node, reads, isWriter, isDirect, unique, attributes }: KeptFile): number {
    const position = this.#memory.add(FILE_BYTES);
    const { view, at } = this.#memory.slot(position);
    view.setUint32(at + HANDLE, handle, true);
    view.setFloat64(at + NODE, node, true);
    view.setUint8(at + FROM, FROMS.indexOf(reads.from));
    view.setUint8(at + FLAGS, (isWriter ? WRITER : 0) | (isDirect ? DIRECT : 0));
    view.setUint32(at + BACKING, reads.from === 'kernel' ? reads.backing : 0, true);
    view.setInt32(at + UNIQUE, unique[0], true);
    view.setInt32(at + UNIQUE + 4, unique[1] & NO_RESEND, true);
    this.attributes(position, attributes);
    view.setUint32(at, FILE, true);
    return position;
  }

  attributes(position: number, attributes: KeptFile['attributes']): void {
    const { view, at } = this.#memory.slot(position);
    view.setUint8(at + HAS_ATTRIBUTES, attributes ? 1 : 0);
    if (attributes) writeAttributes(view, at + ATTRIBUTES, attributes);
  }

  addDirectory(handle: number, node: number): number {
    const position = this.#memory.add(DIRECTORY_BYTES);
    const { view, at } = this.#memory.slot(position);
    view.setUint32(at + HANDLE, handle, true);
    view.setFloat64(at + NODE, node, true);
    for (const mark of MARKS) view.setFloat64(at + mark, 0, true);
    view.setUint32(at, DIRECTORY, true);
    return position;
  }

  /** The one before stays: the answer that reaches up to here may get lost. */
  mark(position: number, { offset, name }: Mark, reply: number): void {
    const { view, bytes, at } = this.#memory.slot(position);
    const mark = at + MARKS[reply % 2 === 0 ? 0 : 1];
    view.setFloat64(mark, 0, true);
    view.setUint16(mark + 8, name.length, true);
    bytes.write(name, mark + 10, 'latin1');
    view.setFloat64(mark, offset, true);
  }

  remove(position: number): void {
    this.#memory.remove(position);
  }

  *files(): Generator<KeptFile & { readonly position: number }> {
    for (const position of this.#memory.all(FILE)) {
      const { view, at } = this.#memory.slot(position);
      const from = FROMS[view.getUint8(at + FROM)] ?? 'node';
      const flags = view.getUint8(at + FLAGS);
      yield {
        position,
        handle: view.getUint32(at + HANDLE, true),
        node: view.getFloat64(at + NODE, true),
        reads: from === 'kernel' ? { from, backing: view.getUint32(at + BACKING, true) } : { from },
        isWriter: (flags & WRITER) !== 0,
        isDirect: (flags & DIRECT) !== 0,
        unique: [view.getInt32(at + UNIQUE, true), view.getInt32(at + UNIQUE + 4, true)],
        attributes: view.getUint8(at + HAS_ATTRIBUTES) === 0 ? undefined : attributesIn(view, at + ATTRIBUTES),
      };
    }
  }

  *directories(): Generator<KeptDirectory & { readonly position: number }> {
    for (const position of this.#memory.all(DIRECTORY)) {
      const { view, bytes, at } = this.#memory.slot(position);
      const marks = MARKS.map((mark) => {
        const start = at + mark + 10;
        const name = bytes.toString('latin1', start, start + view.getUint16(at + mark + 8, true)) as Name;
        return { offset: view.getFloat64(at + mark, true), name };
      });
      const handle = view.getUint32(at + HANDLE, true);
      yield {
        position,
        handle,
        node: view.getFloat64(at + NODE, true),
        marks: marks.filter(({ offset }) => offset > 0),
      };
    }
  }
}

const NUMBERS = [
  'size',
  'mtimeSeconds',
  'mtimeNanos',
  'atimeSeconds',
  'atimeNanos',
  'ctimeSeconds',
  'ctimeNanos',
  'inodeNumber',
] as const satisfies readonly (keyof HotAttributes)[];
const WORDS = [
  'mode',
  'uid',
  'gid',
  'generation',
  'links',
  'device',
] as const satisfies readonly (keyof HotAttributes)[];
const WORDS_AT = NUMBERS.length * 8;
const DIRTY_AT = WORDS_AT + WORDS.length * 4;

/** Of a file that is open, which is no directory. Where it has other names is in its row. */
function writeAttributes(view: DataView, at: number, attributes: HotAttributes): void {
  NUMBERS.forEach((name, i) => view.setFloat64(at + i * 8, attributes[name], true));
  WORDS.forEach((name, i) => view.setUint32(at + WORDS_AT + i * 4, attributes[name], true));
  view.setUint8(at + DIRTY_AT, attributes.isDirty ? 1 : 0);
}

function attributesIn(view: DataView, at: number): HotAttributes {
  const number = (name: (typeof NUMBERS)[number]) => view.getFloat64(at + NUMBERS.indexOf(name) * 8, true);
  const word = (name: (typeof WORDS)[number]) => view.getUint32(at + WORDS_AT + WORDS.indexOf(name) * 4, true);
  return {
    kind: 'file',
    mode: word('mode'),
    uid: word('uid'),
    gid: word('gid'),
    size: number('size'),
    generation: word('generation'),
    inodeNumber: number('inodeNumber'),
    mtimeSeconds: number('mtimeSeconds'),
    mtimeNanos: number('mtimeNanos'),
    atimeSeconds: number('atimeSeconds'),
    atimeNanos: number('atimeNanos'),
    ctimeSeconds: number('ctimeSeconds'),
    ctimeNanos: number('ctimeNanos'),
    hasXattrs: true,
    bornAt: undefined,
    isClosing: false,
    listedAt: undefined,
    isMountPoint: false,
    isDirty: view.getUint8(at + DIRTY_AT) !== 0,
    links: word('links'),
    names: [],
    device: word('device'),
  };
}
