import { isFault, LeatError } from '#shared/model/faults.ts';
import type { Fingerprint } from '#shared/model/inode.ts';
import { toText } from '#shared/model/names.ts';
import { inLanes } from '#shared/namespace/lanes.ts';
import { OBJECT_BYTES_MAX, partRange, partsOf, partWithin } from '#shared/ports/object-parts.ts';
import type { ObjectUpload, StoreAttributes, StoreEntry } from '#shared/ports/under-store.ts';
import { bytesOf, type Place, rangeSource } from './part-source.ts';
import { sameObject } from './same-object.ts';
import { isInBase, type LocalContent } from './local-content.ts';

/** What fits into one part is read whole, and written with one request. */
const WHOLE_BYTES_MAX = partRange(1).length;
const PARTS_IN_FLIGHT = 4;
const ATTEMPTS_MAX = 3;

/** Of uploads in parts, which cost room in a store until they are over: what has begun and is not over has to be abandoned after a crash. */
export interface UploadWatch {
  readonly begun?: (id: string) => void;
  readonly over?: (id: string) => void;
}

export interface FileUpload extends Place, UploadWatch {
  readonly content: LocalContent;
  readonly attributes: StoreAttributes;
  readonly when: 'absent' | Fingerprint;
  /** Asked now and then, and for the last time when all bytes have been read and nobody sees the object yet. */
  readonly isUnchanged: () => boolean;
}

/**
 * Brings a file to its store: a content that nobody changed while it was read (else `contended`), on its condition (else `exists` or
 * `changed`), and shown whole. Of a large file that is partly here only what changed is sent; the store copies the rest from the base.
 * An object that stands in the way is no conflict if it is what was to be brought there. `first` is the first way that is tried.
 */
export async function uploadFile(job: FileUpload, first = sendFile): Promise<StoreEntry> {
  const { store, key, content, isUnchanged } = job;
  if (content.size > OBJECT_BYTES_MAX)
    throw new LeatError('tooLarge', `${store.uri}/${toText(key)}: a store takes files up to 5 TiB`);
  for (let attempt = 1; ; attempt++) {
    try {
      return await (attempt === 1 ? first(job) : sendFile(job));
    } catch (error) {
      const same = isFault(error, 'exists', 'changed') ? await sameObject(job) : undefined;
      if (same && isUnchanged()) return same;
      // Stores too say so, of an upload that has to begin anew.
      if (!isFault(error, 'contended') || !isUnchanged() || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function sendFile(job: FileUpload): Promise<StoreEntry> {
  const { store, key, content, attributes, signal } = job;
  if (content.size <= WHOLE_BYTES_MAX) return writeWhole(job);
  const base = content.base && { base: content.base.fingerprint };
  const upload = await store.upload(key, { attributes, ...base, ...(signal && { signal }) });
  job.begun?.(upload.id);
  try {
    return await finishParts(upload, job);
  } finally {
    job.over?.(upload.id);
  }
}

/** Lays what is not laid yet, and shows the object. When it throws, the upload is aborted. */
export async function finishParts(
  upload: ObjectUpload,
  job: FileUpload,
  isLaid: (part: number) => boolean = () => false,
): Promise<StoreEntry> {
  const { content, attributes, when } = job;
  try {
    await inLanes(partsToLay(content.size, isLaid), PARTS_IN_FLIGHT, (part) => layPart(upload, job, part));
    demandUnchanged(job);
    return await upload.finish({ size: content.size, when, attributes });
  } catch (error) {
    await upload.abort().catch(() => undefined); // what went wrong before is what counts
    throw error;
  }
}

function* partsToLay(size: number, isLaid: (part: number) => boolean): Generator<number> {
  const count = partsOf(size);
  for (let part = 1; part <= count; part++) if (!isLaid(part)) yield part;
}

/** What has changed already needs not be sent to its end. */
async function layPart(upload: ObjectUpload, job: FileUpload, part: number): Promise<void> {
  demandUnchanged(job);
  const { content } = job;
  const range = partWithin(part, content.size);
  if (isInBase(range, content.base)) await upload.copy(part, range.length);
  else await upload.put(part, rangeSource(job, content, range));
}

async function writeWhole(job: FileUpload): Promise<StoreEntry> {
  const { store, key, content, attributes, when, signal } = job;
  const { size } = content;
  const bytes = await bytesOf(rangeSource(job, content, { offset: 0, length: size }));
  demandUnchanged(job);
  const body = (async function* () {
    yield bytes;
  })();
  return store.write(key, body, { attributes, size, when, ...(signal && { signal }) });
}

function demandUnchanged({ key, isUnchanged, signal }: FileUpload): void {
  if (signal?.aborted) throw new LeatError('interrupted', `${toText(key)}: its upload was interrupted`);
  if (!isUnchanged()) throw new LeatError('contended', `${toText(key)}: was written while it was uploaded; try again`);
}
