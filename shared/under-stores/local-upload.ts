import * as fs from 'node:fs/promises';
import { LeatError } from '../model/faults.ts';
import type { Fingerprint } from '../model/inode.ts';
import { partRange } from '../ports/object-parts.ts';
import type { FinishOptions, ObjectUpload, PartBody, StoreEntry, UploadOptions } from '../ports/under-store.ts';
import { LaidParts } from './laid-parts.ts';
import { applyAttributes, demandVersion, demandWanted, isAbsence, READ_FLAGS } from './local-files.ts';
import { StoppedRead } from './stopped-read.ts';

const COPY_BYTES = 1 << 20;

interface LocalUploadOptions extends UploadOptions {
  readonly id: string;
  /** Beside the target, and hidden. */
  readonly temporary: Buffer;
  readonly target: Buffer;
  /** Says of what fails which file it was. */
  readonly attempt: <Result>(act: () => Promise<Result>) => Promise<Result>;
  /** Gives the temporary file its name. */
  readonly place: (when: 'absent' | Fingerprint | undefined) => Promise<StoreEntry>;
}

/** The port's upload, as a hidden file beside its target. */
export class LocalUpload implements ObjectUpload {
  readonly id: string;
  readonly #options: LocalUploadOptions;
  readonly #file: fs.FileHandle;
  readonly #parts = new LaidParts();
  #isOver = false;

  private constructor(options: LocalUploadOptions, file: fs.FileHandle) {
    this.id = options.id;
    this.#options = options;
    this.#file = file;
  }

  static async begin(options: LocalUploadOptions): Promise<LocalUpload> {
    return new LocalUpload(options, await fs.open(options.temporary, 'wx'));
  }

  async put(part: number, body: PartBody): Promise<void> {
    const { attempt, signal } = this.#options;
    await attempt(async () => {
      let { offset } = partRange(part);
      for await (const piece of piecesOf(body)) {
        demandWanted(signal);
        await writeAt(this.#file, piece, offset);
        offset += piece.length;
      }
      this.#parts.laid(part, offset - partRange(part).offset);
    });
  }

  async copy(part: number, length: number): Promise<void> {
    const { attempt, target, base, signal } = this.#options;
    const { offset } = partRange(part);
    await attempt(async () => {
      const source = await openBase(target);
      try {
        const version = { ...(base !== undefined && { fingerprint: base }) };
        await demandVersion(source, version);
        const buffer = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, length));
        let done = 0;
        while (done < length) {
          demandWanted(signal);
          const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.length, length - done), offset + done);
          if (bytesRead === 0) break;
          await writeAt(this.#file, buffer.subarray(0, bytesRead), offset + done);
          done += bytesRead;
        }
        await demandVersion(source, version);
        this.#parts.laid(part, done);
      } finally {
        await source.close();
      }
    });
  }

  async finish({ size, when, attributes = this.#options.attributes }: FinishOptions): Promise<StoreEntry> {
    const { attempt, temporary, place } = this.#options;
    return attempt(async () => {
      this.#parts.demandWhole(size);
      await this.#file.truncate(size);
      if (attributes) await applyAttributes(temporary, 'file', attributes);
      await this.#file.sync();
      const entry = await place(when);
      await this.#end();
      return entry;
    });
  }

  async abort(): Promise<void> {
    if (this.#isOver) return;
    await this.#end();
    await fs.unlink(this.#options.temporary).catch(() => undefined);
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    await this.#file.close();
  }
}

async function* piecesOf(body: PartBody): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) return yield body;
  try {
    yield* body.pieces();
  } catch (error) {
    throw new StoppedRead(error);
  }
}

async function writeAt(file: fs.FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;)
    done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
}

/** What was removed is another version, too. */
async function openBase(path: Buffer): Promise<fs.FileHandle> {
  try {
    return await fs.open(path, READ_FLAGS);
  } catch (error) {
    if (!isAbsence(error)) throw error;
    throw new LeatError('changed', 'was removed from its folder', { cause: error });
  }
}
