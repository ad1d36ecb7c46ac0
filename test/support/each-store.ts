import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { localUnderStore } from '#shared/under-stores/local.ts';
import { s3UnderStore } from '#shared/under-stores/s3.ts';
import { S3_ENGINES, startS3Server } from './s3-server.ts';

/** Where empty stores of one kind come from. */
export interface StoreSource {
  readonly open: () => Promise<UnderStore>;
  /** What uploads left behind in a store, where that shows. */
  readonly remains: (store: UnderStore) => Promise<readonly string[]>;
  readonly stop: () => Promise<void>;
}

const SOURCES = { local, versitygw };
type StoreKind = keyof typeof SOURCES;

/** Those that hold to all conditions and keep bytes on a disk. */
export const STORE_KINDS: readonly StoreKind[] = [
  'local',
  ...S3_ENGINES.flatMap((one) => (one === 'versitygw' ? [one] : [])),
];

export function storeSource(kind: StoreKind): Promise<StoreSource> {
  return SOURCES[kind]();
}

async function local(): Promise<StoreSource> {
  const folder = mkdtempSync(join(tmpdir(), 'leat-store-'));
  return {
    open: async () => localUnderStore({ root: mkdtempSync(join(folder, 'root-')) }),
    remains: async ({ uri }) => globSync('**/.leat-upload-*', { cwd: fileURLToPath(uri) }),
    stop: async () => rmSync(folder, { recursive: true }),
  };
}

async function versitygw(): Promise<StoreSource> {
  const server = await startS3Server('versitygw');
  const opened: UnderStore[] = [];
  return {
    async open() {
      const store = s3UnderStore({ uri: `s3://${await server.newBucket()}`, options: server.options });
      opened.push(store);
      return store;
    },
    async remains({ uri }) {
      const { Uploads = [] } = await server.client.send(
        new ListMultipartUploadsCommand({ Bucket: uri.slice('s3://'.length) }),
      );
      return Uploads.map(({ UploadId = '' }) => UploadId);
    },
    async stop() {
      for (const store of opened) await store.close();
      await server.stop();
    },
  };
}
