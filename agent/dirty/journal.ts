import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { fromText, type Name, toText } from '#shared/model/names.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { MountId, Origin, StoreKey } from '#shared/model/inode.ts';
import type { RowKey } from '#shared/ports/metastore.ts';

const PRIVATE = 0o600;
/** Of lines that nobody waits for. */
const LATE_CHARS_MAX = 4096;
/** Stands where others have an inode's id, which is longer. */
const UPLOAD = 'up';
/** The journal is written anew when it has grown by so many lines and most of them are over. */
const LINES_MAX = 100_000;

/** A file is under way from when it may have bytes that its row, or its store, does not know of. */
export interface UnderWay extends RowKey {
  readonly id: InodeId;
}

/** An upload in parts that a store has begun to take, and keeps until it is told that it is over. */
export interface Begun extends Origin {
  readonly upload: string;
}

/**
 * Which files are under way, and where their rows are: what a process that is killed leaves to the next. Each change is one
 * append of a line, which survives the process.
 */
export class Journal {
  readonly #path: string;
  readonly #live = new Map<InodeId, UnderWay>();
  readonly #begun = new Map<string, Begun>();
  #fd: number;
  #lines = 0;
  #late = '';

  constructor(path: string) {
    this.#path = path;
    for (const line of linesOf(path)) this.#replay(line);
    this.#fd = this.#rewritten();
  }

  get all(): readonly UnderWay[] {
    return [...this.#live.values()];
  }

  get begun(): readonly Begun[] {
    return [...this.#begun.values()];
  }

  begin(upload: Begun): void {
    this.#begun.set(upload.upload, upload);
    this.#append(lineOfUpload(upload));
  }

  over(upload: string): void {
    if (this.#begun.delete(upload)) this.#append(line([UPLOAD, upload]));
  }

  /** Begins, or has moved. */
  note(file: UnderWay): void {
    this.#live.set(file.id, file);
    this.#append(lineOf(file));
  }

  end(id: InodeId): void {
    if (!this.#live.delete(id)) return;
    // It may be told late: whoever finds the file settled says so again.
    this.#late += line([id]);
    if (this.#late.length > LATE_CHARS_MAX) this.#append('');
  }

  close(): void {
    this.#append('');
    closeSync(this.#fd);
  }

  #replay([first = '', second = '', third, fourth = '']: readonly string[]): void {
    if (first === UPLOAD && third === undefined) this.#begun.delete(second);
    else if (first === UPLOAD) {
      this.#begun.set(fourth, { mount: second as MountId, key: third as StoreKey, upload: fourth });
    } else if (third === undefined) this.#live.delete(first as InodeId);
    else this.#live.set(first as InodeId, { id: first as InodeId, directory: second as InodeId, name: third as Name });
  }

  #append(text: string): void {
    writeSync(this.#fd, this.#late + text);
    this.#late = '';
    if (++this.#lines < LINES_MAX || this.#live.size > LINES_MAX / 2) return;
    closeSync(this.#fd);
    this.#fd = this.#rewritten();
  }

  #rewritten(): number {
    const next = `${this.#path}.next`;
    const lines = [...this.all.map(lineOf), ...this.begun.map(lineOfUpload)];
    writeFileSync(next, lines.join(''), { mode: PRIVATE });
    renameSync(next, this.#path);
    this.#late = '';
    this.#lines = 0;
    return openSync(this.#path, 'a', PRIVATE);
  }
}

const line = (words: readonly string[]): string => `${JSON.stringify(words.map((word) => toText(word)))}\n`;
const lineOf = ({ id, directory, name }: UnderWay): string => line([id, directory, name]);
const lineOfUpload = ({ mount, key, upload }: Begun): string => line([UPLOAD, mount, key, upload]);

function* linesOf(path: string): Generator<readonly string[]> {
  for (const text of textOf(path).split('\n')) {
    const words = parsed(text);
    if (words) yield words.map((word) => fromText(word));
  }
}

/** Undefined: the end of an append that did not come to its end. */
function parsed(text: string): readonly string[] | undefined {
  try {
    return JSON.parse(text) as readonly string[];
  } catch {
    return undefined;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
