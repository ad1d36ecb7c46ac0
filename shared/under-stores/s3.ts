import { readFileSync } from 'node:fs';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  type _Object,
} from '@aws-sdk/client-s3';
import { LeatError } from '../model/faults.ts';
import type { Fingerprint, InodeKind, StoreKey } from '../model/inode.ts';
import { fromText, isUtf8, toText } from '../model/names.ts';
import {
  type StoreAttributes,
  type StoreEntry,
  STORE_PAGE_ENTRIES,
  type StorePage,
  type UnderStore,
} from '../ports/under-store.ts';
import { isNameable } from './memory.ts';
import { fromMetadata, toMetadata } from './s3-attributes.ts';
import { isAbsent, s3Fault } from './s3-faults.ts';
import { demandKnownOptions, parseS3Uri, s3Option } from './s3-options.ts';
import { S3Reader } from './s3-reader.ts';
import { upload } from './s3-upload.ts';

const CONTROL_ATTEMPTS_MAX = 6;
const HEADS_IN_FLIGHT = 16;

/** A bucket, or the keys below a prefix of one. */
export function s3UnderStore({
  uri,
  options,
}: {
  readonly uri: string;
  readonly options: Readonly<Record<string, string>>;
}): UnderStore {
  demandKnownOptions(options);
  const { bucket: Bucket, prefix } = parseS3Uri(uri);
  const client = new S3Client(clientConfig(options));
  const caFile = s3Option(options, 's3.ca-file');
  const isRequesterPays = s3Option(options, 's3.requester-pays') === 'true';
  const reader = new S3Reader({
    client,
    bucket: Bucket,
    limits: {
      connections: Number(s3Option(options, 's3.connections')),
      timeoutMs: Number(s3Option(options, 's3.request-timeout')),
    },
    isAnonymous: s3Option(options, 's3.anonymous') === 'true',
    isRequesterPays,
    ...(caFile !== '' && { caFile }),
  });
  const payer = isRequesterPays ? { RequestPayer: 'requester' as const } : {};
  const encryption = encryptionOf(options);
  const wantsHeads = s3Option(options, 's3.attributes') === 'head';

  function textKey(key: StoreKey): string {
    if (!isUtf8(key))
      throw new LeatError('invalid', `${uri}/${toText(key)}: the name is not UTF-8, which keys of S3 must be`);
    const text = toText(key);
    return prefix === '' ? text : text === '' ? prefix : `${prefix}/${text}`;
  }
  const directoryKey = (key: StoreKey): string => {
    const text = textKey(key);
    return text === '' ? '' : `${text}/`;
  };
  const storeKey = (text: string): StoreKey =>
    fromText(prefix === '' ? text : text.slice(prefix.length + 1)) as StoreKey;

  async function attempt<Result>(what: string, key: StoreKey, act: () => Promise<Result>): Promise<Result> {
    try {
      return await act();
    } catch (error) {
      throw s3Fault(error, `s3://${Bucket}/${textKey(key)}: ${what}`);
    }
  }

  async function head(key: StoreKey): Promise<StoreEntry | undefined> {
    try {
      const found = await client.send(new HeadObjectCommand({ Bucket, Key: textKey(key), ...payer }));
      const attributes = fromMetadata(found.Metadata ?? {});
      const isLink = attributes.kind === 'symlink';
      return {
        ...entryOf(key, { Size: found.ContentLength, ETag: found.ETag, LastModified: found.LastModified }),
        ...attributes,
        ...(isLink && { target: await linkTarget(key) }),
      };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw s3Fault(error, `s3://${Bucket}/${textKey(key)}: cannot be looked at`);
    }
  }

  async function linkTarget(key: StoreKey): Promise<string> {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: textKey(key), ...payer }));
    return fromText((await Body?.transformToString()) ?? '');
  }

  async function mustHead(key: StoreKey): Promise<StoreEntry> {
    const entry = await head(key);
    if (entry) return entry;
    throw new LeatError('notFound', `s3://${Bucket}/${textKey(key)}: no such object`);
  }

  async function put(key: string, body: string, kind: InodeKind, attributes: StoreAttributes): Promise<void> {
    await client.send(
      new PutObjectCommand({
        Bucket,
        Key: key,
        Body: body,
        Metadata: toMetadata(kind, attributes),
        ...encryption,
        ...payer,
      }),
    );
  }

  async function copyObject(from: StoreKey, to: StoreKey, metadata?: Record<string, string>): Promise<void> {
    const source = `${Bucket}/${textKey(from).split('/').map(encodeURIComponent).join('/')}`;
    const replaced = metadata ? { MetadataDirective: 'REPLACE' as const, Metadata: metadata } : {};
    await client.send(
      new CopyObjectCommand({ Bucket, Key: textKey(to), CopySource: source, ...replaced, ...encryption, ...payer }),
    );
  }

  return {
    supports: { directories: false, move: false },
    uri,
    stat: (key) =>
      attempt('cannot be looked at', key, async () => {
        const object = key === '' ? undefined : await head(key);
        if (object) return object;
        const below = await client.send(
          new ListObjectsV2Command({ Bucket, Prefix: directoryKey(key), MaxKeys: 1, ...payer }),
        );
        return key === '' || (below.KeyCount ?? 0) > 0 ? { key, kind: 'directory', size: 0 } : undefined;
      }),
    list: (directory, cursor) =>
      attempt('cannot be listed', directory, async (): Promise<StorePage> => {
        const Prefix = directoryKey(directory);
        const page = await client.send(
          new ListObjectsV2Command({
            Bucket,
            Prefix,
            Delimiter: '/',
            MaxKeys: STORE_PAGE_ENTRIES,
            EncodingType: 'url',
            ...(cursor !== undefined && { ContinuationToken: cursor }),
            ...payer,
          }),
        );
        const objects = (page.Contents ?? []).map((object) => ({ ...object, Key: decodeKey(object.Key ?? '') }));
        const files = objects.filter(({ Key }) => Key !== Prefix); // the marker of the directory itself
        const directories = (page.CommonPrefixes ?? []).map(({ Prefix: each = '' }) => decodeKey(each).slice(0, -1));
        const named = files.filter(({ Key }) => isNameable(fromText(Key.slice(Prefix.length))));
        const namedDirectories = directories.filter((each) => isNameable(fromText(each.slice(Prefix.length))));
        const entries = [
          ...named.map((object) => entryOf(storeKey(object.Key), object)),
          ...namedDirectories.map((each): StoreEntry => ({ key: storeKey(each), kind: 'directory', size: 0 })),
        ].toSorted((a, b) => (orderKey(a) < orderKey(b) ? -1 : 1));
        const unnameable = files.length + directories.length - entries.length;
        const next = page.IsTruncated ? page.NextContinuationToken : undefined;
        return {
          entries: wantsHeads ? await withHeads(entries, head) : entries,
          unnameable,
          ...(next !== undefined && { cursor: next }),
        };
      }),
    read: (key, range, sink, readOptions) => reader.read(textKey(key), range, sink, readOptions),
    write: (key, body, writeOptions = {}) =>
      attempt('cannot be written', key, async () => {
        const input = {
          Bucket,
          Key: textKey(key),
          Metadata: toMetadata('file', writeOptions.attributes ?? {}),
          ...encryption,
          ...payer,
        };
        await upload(client, input, body, writeOptions).catch((error: unknown) => {
          const isTaken = writeOptions.when === 'absent' && s3Fault(error, '').kind === 'changed';
          throw isTaken ? new LeatError('exists', `s3://${Bucket}/${input.Key}: exists`, { cause: error }) : error;
        });
        return mustHead(key);
      }),
    makeDirectory: (key, attributes = {}) =>
      attempt('cannot be made', key, () => put(directoryKey(key), '', 'directory', attributes)),
    makeSymlink: (key, target, attributes = {}) =>
      attempt('cannot be made', key, async () => {
        await put(textKey(key), toText(target), 'symlink', attributes);
        return mustHead(key);
      }),
    setAttributes: (key, attributes) =>
      attempt('cannot be given other attributes', key, async () => {
        const old = await head(key);
        if (!old) {
          await put(directoryKey(key), '', 'directory', attributes);
          return { key, kind: 'directory', size: 0, ...attributes };
        }
        await copyObject(key, key, toMetadata(old.kind, { ...old, ...attributes }));
        return mustHead(key);
      }),
    copy: (from, to) =>
      attempt('cannot be copied', from, async () => {
        await copyObject(from, to);
        return mustHead(to);
      }),
    async move(from) {
      throw new LeatError('unsupported', `s3://${Bucket}/${textKey(from)}: objects are copied and removed, not moved`);
    },
    remove: (key, kind) =>
      attempt('cannot be removed', key, async () => {
        const Key = kind === 'directory' ? directoryKey(key) : textKey(key);
        if (Key !== '') await client.send(new DeleteObjectCommand({ Bucket, Key, ...payer }));
      }),
    async capacity() {
      return undefined;
    },
    async close() {
      reader.close();
      client.destroy();
    },
  };
}

function clientConfig(options: Readonly<Record<string, string>>): S3ClientConfig {
  const option = (name: Parameters<typeof s3Option>[1]) => s3Option(options, name) || undefined;
  const endpoint = option('s3.endpoint') ?? process.env['AWS_ENDPOINT_URL_S3'] ?? process.env['AWS_ENDPOINT_URL'];
  const region =
    option('s3.region') ??
    process.env['AWS_REGION'] ??
    process.env['AWS_DEFAULT_REGION'] ??
    (endpoint ? 'us-east-1' : undefined);
  const profile = option('s3.profile');
  const caFile = option('s3.ca-file');
  return {
    ...(endpoint && { endpoint }),
    ...(region && { region }),
    ...(profile && { profile }),
    ...(caFile && { requestHandler: { httpsAgent: { ca: readFileSync(caFile) } } }),
    ...credentialsOf(options),
    forcePathStyle: option('s3.path-style') === undefined ? endpoint !== undefined : option('s3.path-style') === 'true',
    maxAttempts: CONTROL_ATTEMPTS_MAX,
    // Servers other than AWS's refuse the checksums that the SDK would add by itself.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  };
}

function credentialsOf(options: Readonly<Record<string, string>>): Pick<S3ClientConfig, 'credentials' | 'signer'> {
  if (s3Option(options, 's3.anonymous') === 'true')
    return { signer: { sign: async (request) => request }, credentials: { accessKeyId: '', secretAccessKey: '' } };
  const accessKeyId = s3Option(options, 's3.access-key-id');
  if (accessKeyId === '') return {};
  const sessionToken = s3Option(options, 's3.session-token');
  return {
    credentials: {
      accessKeyId,
      secretAccessKey: s3Option(options, 's3.secret-access-key'),
      ...(sessionToken !== '' && { sessionToken }),
    },
  };
}

function encryptionOf(options: Readonly<Record<string, string>>) {
  const algorithm = s3Option(options, 's3.sse');
  const key = s3Option(options, 's3.sse-kms-key-id');
  if (algorithm === '') return {};
  return { ServerSideEncryption: algorithm as 'AES256' | 'aws:kms', ...(key !== '' && { SSEKMSKeyId: key }) };
}

function entryOf(
  key: StoreKey,
  { Size, ETag, LastModified }: Partial<Pick<_Object, 'Size' | 'ETag' | 'LastModified'>>,
): StoreEntry {
  return {
    key,
    kind: 'file',
    size: Size ?? 0,
    fingerprint: (ETag ?? '').replace(/^"|"$/g, '') as Fingerprint,
    ...(LastModified && { mtime: BigInt(LastModified.getTime()) * 1_000_000n }),
  };
}

const orderKey = ({ key, kind }: StoreEntry): string => (kind === 'directory' ? `${key}/` : key);

/** `encoding-type=url` writes a space as `+`. */
const decodeKey = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '));

async function withHeads(
  entries: readonly StoreEntry[],
  head: (key: StoreKey) => Promise<StoreEntry | undefined>,
): Promise<StoreEntry[]> {
  const known = [...entries];
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < entries.length; i = next++) {
      const entry = entries[i];
      if (entry?.kind === 'file') known[i] = (await head(entry.key)) ?? entry;
    }
  };
  await Promise.all(Array.from({ length: HEADS_IN_FLIGHT }, worker));
  return known;
}
