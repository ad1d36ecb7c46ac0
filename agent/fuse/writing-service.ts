import { LeatError } from '#shared/model/faults.ts';
import type { InodeId } from '#shared/model/ids.ts';
import { toText } from '#shared/model/names.ts';
import { encodeRow } from '#shared/model/row-codec.ts';
import type { Actor, Namespace } from '#shared/namespace/namespace.ts';
import type { ChangeFeed } from '#shared/ports/change-feed.ts';
import type { DirtyFile } from '../dirty/dirty-file.ts';
import type { DirtyFiles } from '../dirty/dirty-files.ts';
import type { Answer, Question } from './questions.ts';
import type { UnderWay } from './resume.ts';
import { SizeLimits } from './size-limits.ts';

interface WritingDeps {
  readonly namespace: Namespace;
  readonly dirty: DirtyFiles;
  readonly feed: ChangeFeed;
}

type Ask<Kind extends Question['ask']> = Question & { readonly ask: Kind };

/** The main thread's side of writing: rows, and who writes. */
export class WritingService {
  readonly #deps: WritingDeps;

  readonly #limits: SizeLimits;

  constructor(deps: WritingDeps) {
    this.#deps = deps;
    this.#limits = new SizeLimits(deps);
  }

  close(): void {
    this.#limits.close();
  }

  async answer(
    actor: Actor,
    question: Ask<'create' | 'write' | 'room' | 'fill' | 'rebase' | 'flush' | 'sync'>,
  ): Promise<Answer> {
    const { dirty } = this.#deps;
    switch (question.ask) {
      case 'create': {
        const { path, mode, umask, directory, name } = question;
        const inode = await this.#deps.namespace.create(actor, path, { mode, umask, holder: dirty.holder });
        const file = dirty.created({ directory, name }, inode);
        return { row: encodeRow(inode), base: undefined, sizeMax: await this.#limits.of(file) };
      }
      case 'write':
        return this.#open(actor, question);
      case 'room':
        await dirty.room.demand(question.bytes);
        return { done: true };
      case 'fill':
        await dirty.reader(this.file(question.id)).fill(question.ranges);
        return { done: true };
      case 'rebase': {
        const file = this.file(question.id);
        return { rebased: await file.inTurn(async () => (file.rebase() ? file.base?.memory : undefined)) };
      }
      case 'flush':
        return { stored: await dirty.flush(this.file(question.id)) };
      case 'sync':
        await dirty.sync(this.file(question.id));
        return { done: true };
    }
  }

  /** For a worker that goes on with the session of another process. */
  underWay(): Promise<readonly UnderWay[]> {
    const told = async (file: DirtyFile) => ({
      id: file.id,
      base: file.base?.memory,
      sizeMax: await this.#limits.of(file),
    });
    return Promise.all(this.#deps.dirty.all.map(told));
  }

  /** What only the store has of a file that is open for writing comes here before its object goes. */
  async keepContent(id: InodeId | undefined): Promise<void> {
    const file = id === undefined ? undefined : this.#deps.dirty.get(id);
    if (!file || file.writers === 0) return;
    file.staysHere = true;
    if (!file.base?.isPartial) return;
    const all = file.base.runs({ offset: 0, length: file.base.baseBytes });
    const missing = all.filter(({ state }) => state === 'missing');
    try {
      await file.filling(() => this.#deps.dirty.reader(file).fill(missing));
    } catch (error) {
      if (this.#deps.dirty.get(file.id) === file) throw error; // else it was closed meanwhile, and nobody misses it
    }
  }

  release(id: InodeId): void {
    const file = this.#deps.dirty.get(id);
    if (file) this.#deps.dirty.release(file);
  }

  async #open(actor: Actor, { path, directory, name, id, isTruncated }: Ask<'write'>): Promise<Answer> {
    const known = this.#deps.dirty.get(id);
    if (known) {
      this.#deps.dirty.again(known, { isTruncated });
      return { base: known.base?.memory, sizeMax: await this.#limits.of(known) };
    }
    const found = await this.#deps.namespace.stat(actor, path, { toWrite: true });
    const { inode } = found;
    if (inode.id !== id) throw new LeatError('changed', `${toText(path)}: another file has this name now`);
    if (inode.kind !== 'file') throw new LeatError('isDirectory', `${toText(path)}: is no file`);
    const file = await this.#deps.dirty.open(found, { directory, name }, { isTruncated });
    return { row: encodeRow(inode), base: file.base?.memory, sizeMax: await this.#limits.of(file) };
  }

  file(id: InodeId): DirtyFile {
    const file = this.#deps.dirty.get(id);
    if (file) return file;
    throw new LeatError('changed', 'the file is not open for writing any more');
  }
}
