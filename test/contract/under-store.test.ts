import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { UnderStore } from '#shared/ports/under-store.ts';
import { localUnderStore } from '#shared/under-stores/local.ts';
import { memoryUnderStore } from '#shared/under-stores/memory.ts';
import { s3UnderStore } from '#shared/under-stores/s3.ts';
import { S3_ENGINES, type S3Engine, type S3Server, startS3Server } from '../support/s3-server.ts';
import type { StoreEngine, StoreTraits } from '../support/store-engine.ts';
import { underStoreContract } from './under-store.contract.ts';

const BEST = {
  holdsObjectAndPrefix: true,
  moves: false,
  checksConditions: true,
  abortsUploads: true,
  holdsAnyBytes: true,
  showsDeepPrefixes: true,
  listsMarkup: true,
  nameBytesMax: 255,
  copySource: 'from/a b+c%&=',
};

const TRAITS: Record<S3Engine, StoreTraits> = {
  s3rver: {
    ...BEST,
    holdsAnyBytes: false,
    // It does not know If-None-Match and If-Match of writes, and x-amz-copy-source-if-match of parts.
    checksConditions: false,
    // It has no AbortMultipartUpload: what was sent of an upload stays.
    abortsUploads: false,
    // It looks for objects one level below the listed directory only.
    showsDeepPrefixes: false,
    // It escapes names twice.
    listsMarkup: false,
    // Each object is some files, whose names are longer.
    nameBytesMax: 220,
    // It does not decode `+`, `&` and their like in the source of a copy.
    copySource: 'from/a b%',
  },
  // An object is a file of its folder, which cannot be a directory too.
  versitygw: { ...BEST, holdsAnyBytes: false, holdsObjectAndPrefix: false },
};

underStoreContract({ name: 'memory', traits: BEST, open: async () => memoryUnderStore() });
underStoreContract(localFolder());
for (const engine of S3_ENGINES) {
  underStoreContract({ name: `s3 on ${engine}`, traits: TRAITS[engine], open: sharedServer(engine) });
}

function localFolder(): StoreEngine {
  const folder = mkdtempSync(join(tmpdir(), 'leat-local-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  return {
    name: 'local',
    traits: { ...BEST, moves: true, holdsObjectAndPrefix: false },
    open: async () => localUnderStore({ root: mkdtempSync(join(folder, 'root-')) }),
  };
}

/** One server and bucket for all; each store is a prefix of its own, beside one whose name begins alike. */
function sharedServer(engine: S3Engine): StoreEngine['open'] {
  let server: S3Server | undefined;
  let bucket = '';
  const stores: UnderStore[] = [];
  beforeAll(async () => {
    server = await startS3Server(engine);
    bucket = await server.newBucket();
  });
  afterAll(async () => {
    for (const store of stores) await store.close();
    await server?.stop();
  });
  return async () => {
    const uri = `s3://${bucket}/store ${stores.length}`;
    const store = s3UnderStore({ uri, options: server?.options ?? {} });
    stores.push(store);
    return store;
  };
}
