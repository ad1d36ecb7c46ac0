import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { LeatError } from '../model/faults.ts';
import type { StoredKind, StoreKey } from '../model/inode.ts';
import { fromText, isUtf8, toText } from '../model/names.ts';
import { inLanes } from '../namespace/lanes.ts';
import {
  type ByteRange,
  type ObjectUpload,
  type ReadOptions,
  type Sink,
  type StoreAttributes,
  type StoreEntry,
  STORE_PAGE_ENTRIES,
  type StorePage,
  type UnderStore,
  type UploadOptions,
  type WriteOptions,
} from '../ports/under-store.ts';
import { fromMetadata, toMetadata } from './s3-attributes.ts';
import { StoppedBody } from './s3-body.ts';
import { newS3Client, patienceOf, S3Calls } from './s3-client.ts';
import { copyObject } from './s3-copy.ts';
import { isAbsent, s3Fault } from './s3-faults.ts';
import { directoryEntry, entryOf, fingerprintOf, firstKey, storePage } from './s3-listing.ts';
import { abortMultipart, Multipart } from './s3-multipart.ts';
import { S3ObjectUpload, throwRefusal } from './s3-object-upload.ts';
import { parseS3Uri, S3Options } from './s3-options.ts';
import { S3Reader } from './s3-reader.ts';
import { type Encryption, encryptionOf, upload, type Uploaded, type UploadInput } from './s3-upload.ts';

const HEADS_IN_FLIGHT = 16;

interface S3StoreAddress {
  readonly uri: string;
  readonly options: Readonly<Record<string, string>>;
}

/** A bucket, or the keys below a prefix of one. */
export function s3UnderStore(address: S3StoreAddress): UnderStore {
  return new S3UnderStore(address);
}

class S3UnderStore implements UnderStore {
  readonly supports = { directories: false, move: false };
  readonly uri: string;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #client: S3Client;
  readonly #calls: S3Calls;
  readonly #reader: S3Reader;
  readonly #wantsHeads: boolean;
  readonly #payer: { readonly RequestPayer?: 'requester' };
  readonly #encryption: Encryption;

  constructor({ uri, options: given }: S3StoreAddress) {
    const options = new S3Options(given);
    const { bucket, prefix } = parseS3Uri(uri);
    const isRequesterPays = options.flag('s3.requester-pays');
    this.uri = uri;
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#client = newS3Client(options);
    this.#calls = new S3Calls(this.#client, patienceOf(options));
    this.#reader = new S3Reader({
      client: this.#client,
      bucket,
      limits: { connections: options.number('s3.connections'), timeoutMs: options.number('s3.request-timeout') },
      patience: patienceOf(options),
      isAnonymous: options.flag('s3.anonymous'),
      isRequesterPays,
      caFile: options.text('s3.ca-file'),
    });
    this.#wantsHeads = options.text('s3.attributes') === 'head';
    this.#payer = isRequesterPays ? { RequestPayer: 'requester' } : {};
    this.#encryption = encryptionOf(options);
  }

  stat(key: StoreKey): Promise<StoreEntry | undefined> {
    return this.#attempt('cannot be looked at', key, () => this.#stat(key));
  }

  list(directory: StoreKey, cursor?: string): Promise<StorePage> {
    return this.#attempt('cannot be listed', directory, async () => {
      const Prefix = this.#directoryKey(directory);
      const after = cursor === undefined ? {} : { ContinuationToken: cursor };
      const found = await this.#keysBelow(Prefix, { Delimiter: '/', MaxKeys: STORE_PAGE_ENTRIES, ...after });
      const page = storePage(found, Prefix, (text) => this.#storeKey(text));
      return this.#wantsHeads ? { ...page, entries: await this.#withHeads(page.entries) } : page;
    });
  }

  async read(key: StoreKey, range: ByteRange, sink: Sink, options?: ReadOptions): Promise<void> {
    await this.#reader.read(this.#textKey(key), range, sink, options);
  }

  write(key: StoreKey, body: AsyncIterable<Uint8Array>, options: WriteOptions = {}): Promise<StoreEntry> {
    const { attributes, when } = options;
    return this.#attempt('cannot be written', key, async () => {
      const input = this.#input(this.#textKey(key), 'file', attributes);
      const written = await upload(this.#calls, input, { body, options }).catch((error: unknown) =>
        throwRefusal(error, input, when),
      );
      return this.#shown(key, { ...written, attributes });
    });
  }

  upload(key: StoreKey, options: UploadOptions = {}): Promise<ObjectUpload> {
    const { attributes, base, signal } = options;
    const attempt = <Result>(act: () => Promise<Result>) => this.#attempt('cannot be uploaded', key, act);
    return attempt(async () => {
      const multipart = await Multipart.begin(this.#calls, this.#input(this.#textKey(key), 'file', attributes), signal);
      const there = () => this.#head(key);
      const shown = (size: number, etag: string | undefined) => this.#shown(key, { size, etag, attributes });
      return new S3ObjectUpload({ multipart, target: this.#target(key), base, attempt, there, shown });
    });
  }

  async abandonUpload(key: StoreKey, UploadId: string): Promise<void> {
    await this.#attempt('cannot be rid of an upload', key, () =>
      abortMultipart(this.#calls, { ...this.#target(key), UploadId }),
    );
  }

  makeDirectory(key: StoreKey, attributes: StoreAttributes = {}): Promise<void> {
    return this.#attempt('cannot be made', key, () => this.#putMarker(key, attributes));
  }

  makeSymlink(key: StoreKey, target: string, attributes: StoreAttributes = {}): Promise<StoreEntry> {
    return this.#attempt('cannot be made', key, async () => {
      await this.#put(this.#textKey(key), toText(target), { kind: 'symlink', attributes });
      return this.#mustStat(key);
    });
  }

  setAttributes(key: StoreKey, attributes: StoreAttributes): Promise<StoreEntry> {
    return this.#attempt('cannot be given other attributes', key, async () => {
      const old = await this.#mustStat(key);
      if (old.kind === 'directory') {
        await this.#putMarker(key, { ...old, ...attributes });
        return { ...old, ...attributes };
      }
      await this.#copy(key, key, {
        metadata: toMetadata(old.kind, { ...old, ...attributes }),
        ...(old.fingerprint !== undefined && { etag: old.fingerprint }),
      });
      return this.#mustStat(key);
    });
  }

  copy(from: StoreKey, to: StoreKey): Promise<StoreEntry> {
    return this.#attempt('cannot be copied', from, async () => {
      await this.#copy(from, to);
      return this.#mustStat(to);
    });
  }

  async move(from: StoreKey): Promise<void> {
    throw new LeatError('unsupported', `${this.#name(from)}: objects are copied and removed, not moved`);
  }

  remove(key: StoreKey, kind: StoredKind): Promise<void> {
    return this.#attempt('cannot be removed', key, async () => {
      const target = this.#target(key, kind);
      if (target.Key !== '') await this.#calls.send(new DeleteObjectCommand(target));
    });
  }

  async capacity(): Promise<undefined> {
    return undefined;
  }

  async close(): Promise<void> {
    this.#reader.close();
    this.#client.destroy();
  }

  #input(Key: string, kind: StoredKind, attributes: StoreAttributes = {}): UploadInput {
    const Metadata = toMetadata(kind, attributes);
    return { Bucket: this.#bucket, Key, Metadata, ...this.#encryption, ...this.#payer };
  }

  /** Somebody may have replaced it since: what was written is still ours to tell of. */
  async #shown(key: StoreKey, { size, etag, attributes }: Uploaded & { attributes: StoreAttributes | undefined }) {
    const fingerprint = fingerprintOf(etag);
    const there = await this.#head(key);
    if (there?.fingerprint === fingerprint) return there;
    return { key, kind: 'file', size, fingerprint, ...attributes } satisfies StoreEntry;
  }

  async #stat(key: StoreKey): Promise<StoreEntry | undefined> {
    const object = key === '' ? undefined : await this.#head(key);
    if (object) return object;
    const Prefix = this.#directoryKey(key);
    const below = await this.#keysBelow(Prefix, { MaxKeys: 1 });
    const first = firstKey(below);
    if (key !== '' && first === undefined) return undefined;
    // A marker comes before all that lies below it.
    const marker = first === Prefix ? await this.#head(key, 'directory') : undefined;
    return directoryEntry(key, marker);
  }

  #keysBelow(Prefix: string, how: Pick<ListObjectsV2CommandInput, 'Delimiter' | 'MaxKeys' | 'ContinuationToken'>) {
    const list = { Bucket: this.#bucket, Prefix, EncodingType: 'url', ...how, ...this.#payer } as const;
    return this.#calls.send(new ListObjectsV2Command(list));
  }

  async #mustStat(key: StoreKey): Promise<StoreEntry> {
    const entry = await this.#stat(key);
    if (entry) return entry;
    throw new LeatError('notFound', `${this.#name(key)}: no such object`);
  }

  async #head(key: StoreKey, kind: StoredKind = 'file'): Promise<StoreEntry | undefined> {
    try {
      const found = await this.#calls.send(new HeadObjectCommand(this.#target(key, kind)));
      const attributes = fromMetadata(found.Metadata ?? {});
      const isLink = attributes.kind === 'symlink';
      return {
        ...entryOf(key, { Size: found.ContentLength, ETag: found.ETag, LastModified: found.LastModified }),
        ...attributes,
        ...(isLink && { target: await this.#linkTarget(key) }),
      };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw s3Fault(error, `${this.#name(key)}: cannot be looked at`);
    }
  }

  async #linkTarget(key: StoreKey): Promise<string> {
    const { Body } = await this.#calls.send(new GetObjectCommand(this.#target(key)));
    return fromText((await Body?.transformToString()) ?? '');
  }

  async #withHeads(entries: readonly StoreEntry[]): Promise<StoreEntry[]> {
    const known = [...entries];
    await inLanes(entries.entries(), HEADS_IN_FLIGHT, async ([i, entry]) => {
      if (entry.kind === 'file') known[i] = (await this.#head(entry.key)) ?? entry;
    });
    return known;
  }

  async #putMarker(key: StoreKey, attributes: StoreAttributes): Promise<void> {
    const marker = this.#directoryKey(key);
    if (marker !== '') await this.#put(marker, '', { kind: 'directory', attributes });
  }

  async #put(Key: string, Body: string, { kind, attributes }: { kind: StoredKind; attributes: StoreAttributes }) {
    const object = { ...this.#input(Key, kind, attributes), Body: Buffer.from(Body) };
    await this.#calls.send(new PutObjectCommand(object));
  }

  async #copy(from: StoreKey, to: StoreKey, how: { metadata?: Record<string, string>; etag?: string } = {}) {
    const keys = { from: this.#textKey(from), to: this.#textKey(to) };
    const request = { bucket: this.#bucket, ...keys, ...how, encryption: this.#encryption, payer: this.#payer };
    await copyObject(this.#calls, request);
  }

  async #attempt<Result>(what: string, key: StoreKey, act: () => Promise<Result>): Promise<Result> {
    try {
      return await act();
    } catch (error) {
      throw error instanceof StoppedBody ? error.reason : s3Fault(error, `${this.#name(key)}: ${what}`);
    }
  }

  #target(key: StoreKey, kind: StoredKind = 'file') {
    const Key = kind === 'directory' ? this.#directoryKey(key) : this.#textKey(key);
    return { Bucket: this.#bucket, Key, ...this.#payer };
  }

  #name(key: StoreKey): string {
    return `s3://${this.#bucket}/${this.#prefix === '' ? '' : `${this.#prefix}/`}${toText(key)}`;
  }

  #textKey(key: StoreKey): string {
    if (!isUtf8(key))
      throw new LeatError('invalid', `${this.#name(key)}: the name is not UTF-8, which keys of S3 must be`);
    const text = toText(key);
    return this.#prefix === '' ? text : text === '' ? this.#prefix : `${this.#prefix}/${text}`;
  }

  #directoryKey(key: StoreKey): string {
    const text = this.#textKey(key);
    return text === '' ? '' : `${text}/`;
  }

  #storeKey(text: string): StoreKey {
    return fromText(this.#prefix === '' ? text : text.slice(this.#prefix.length + 1)) as StoreKey;
  }
}
