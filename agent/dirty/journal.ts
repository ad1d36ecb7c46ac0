import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { fromText, type Name, toText } from '#shared/model/names.ts';
import type { InodeId } from '#shared/model/ids.ts';
import type { RowKey } from '#shared/ports/metastore.ts';

const PRIVATE = 0o600;
/** The journal is written anew when it has grown by so many lines and most of them are over. */
const LINES_MAX = 100_000;

/** A file is under way from when it may have bytes that its row, or its store, does not know of. */
export interface UnderWay extends RowKey {
  readonly id: InodeId;
}

/**
 * Which files are under way, and where their rows are: what a process that is killed leaves to the next. Each change is one
 * append of a line, which survives the process.
 */
export class Journal {
  readonly #path: string;
  readonly #live = new Map<InodeId, UnderWay>();
  #fd: number;
  #lines = 0;

  constructor(path: string) {
    this.#path = path;
    for (const { id, at } of linesOf(path)) {
      if (at) this.#live.set(id, at);
      else this.#live.delete(id);
    }
    this.#fd = this.#rewritten();
  }

  get all(): readonly UnderWay[] {
    return [...this.#live.values()];
  }

  /** Begins, or has moved. */
  note(file: UnderWay): void {
    this.#live.set(file.id, file);
    this.#append(lineOf(file));
  }

  end(id: InodeId): void {
    if (this.#live.delete(id)) this.#append(`${JSON.stringify([toText(id)])}\n`);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #append(line: string): void {
    writeSync(this.#fd, line);
    if (++this.#lines < LINES_MAX || this.#live.size > LINES_MAX / 2) return;
    closeSync(this.#fd);
    this.#fd = this.#rewritten();
  }

  #rewritten(): number {
    const next = `${this.#path}.next`;
    writeFileSync(next, this.all.map(lineOf).join(''), { mode: PRIVATE });
    renameSync(next, this.#path);
    this.#lines = 0;
    return openSync(this.#path, 'a', PRIVATE);
  }
}

const lineOf = ({ id, directory, name }: UnderWay): string =>
  `${JSON.stringify([toText(id), toText(directory), toText(name)])}\n`;

function* linesOf(path: string): Generator<{ readonly id: InodeId; readonly at: UnderWay | undefined }> {
  for (const line of textOf(path).split('\n')) {
    const words = parsed(line);
    if (!words) continue;
    const [id = '', directory, name] = words.map((word) => fromText(word));
    const at =
      directory === undefined || name === undefined
        ? undefined
        : { id: id as InodeId, directory: directory as InodeId, name: name as Name };
    yield { id: id as InodeId, at };
  }
}

/** Undefined: the end of an append that did not come to its end. */
function parsed(line: string): readonly string[] | undefined {
  try {
    return JSON.parse(line) as readonly string[];
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
