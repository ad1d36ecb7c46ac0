import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

interface Room {
  readonly mayImport: readonly RegExp[];
  /** Allowed as `import type` only: erased, so no code comes along. */
  readonly mayImportTypes?: readonly RegExp[];
}

/** Files, or rooms that they lie in, and what they may import; the longest that matches counts. This table is the architecture. */
const ROOMS: Readonly<Record<string, Room>> = {
  shared: { mayImport: [/^shared\/(?!under-stores\/)/, /^zod$/] },
  'shared/under-stores': { mayImport: [/^shared\//, /^@aws-sdk\//, /^@smithy\//, /^node:/] },
  functions: {
    mayImport: [/^shared\/(?!under-stores\/)/, /^functions\/(?!drivers\/)/, /^node:/, /^@?hono(\/|$)/, /^zod$/],
  },
  'functions/drivers': { mayImport: [/^shared\/(?!under-stores\/)/, /^functions\/drivers\//, /^@aws-sdk\//, /^node:/] },
  // The stream shows items as the driver writes them.
  'functions/feed/stream-records.ts': {
    mayImport: [/^shared\//, /^functions\/drivers\/dynamodb-items\.ts$/],
    mayImportTypes: [/^@aws-sdk\/client-dynamodb$/],
  },
  // What a function is put together of.
  'functions/handlers': { mayImport: [/^(shared|functions)\//, /^node:/, /^hono\/aws-lambda$/] },
  'functions/cloud.ts': { mayImport: [/^(shared|functions)\//, /^node:/] },
  'functions/lazy-store.ts': { mayImport: [/^shared\//] },
  agent: {
    mayImport: [/^agent\//, /^shared\/(?!under-stores\/)/, /^node:/, /^@?hono(\/|$)/, /^(zod|koffi|lmdb)$/],
    mayImportTypes: [/^functions\/api\//],
  },
  // The client and the server agree on how a query carries bytes.
  'agent/cli/client.ts': {
    mayImport: [/^(shared|agent)\//, /^functions\/api\/percent\.ts$/, /^hono\/client$/],
    mayImportTypes: [/^functions\/api\//],
  },
  // Help tells what --option takes; the table of options is no driver.
  'agent/cli/store-options.ts': {
    mayImport: [/^shared\/under-stores\/s3-options\.ts$/, /^shared\/model\/write-types\.ts$/],
  },
  // It lives as long as the mount, so it is kept small: of the agent it has how descriptors are handed on, and how one unmounts.
  'agent/supervisor/main.ts': {
    mayImport: [/^agent\/supervisor\//, /^agent\/fuse\/(fd-passing|mountpoint)\.ts$/, /^node:/],
  },
  // Composition roots alone name drivers and the app that they serve.
  'agent/main.ts': { mayImport: [/^(shared|agent|functions\/api)\//, /^node:/] },
  'agent/joined-core.ts': { mayImport: [/^(shared|agent|functions\/drivers)\//, /^node:/] },
  // Credentials are looked for as AWS's own tools do it, and the signer is the SDK's: both are in the bundle for the S3 driver.
  'agent/joined/signed-fetch.ts': {
    mayImport: [/^(shared|agent)\//, /^node:/, /^@aws-sdk\/credential-provider-node$/, /^@smithy\/signature-v4$/],
  },
  'agent/build.js': { mayImport: [/^node:/, /^esbuild$/] },
  'agent/stores.ts': { mayImport: [/^(shared|agent)\//, /^node:/] },
  // Names handlers by their paths, and what is said of them in no other way.
  cdk: {
    mayImport: [/^cdk\//, /^shared\/model\/faults\.ts$/, /^aws-cdk-lib(\/|$)/, /^(constructs|cdk-nag)$/, /^node:/],
  },
  localstack: { mayImport: [/^localstack\//, /^shared\/model\/faults\.ts$/, /^(zod|aws4)$/, /^node:/] },
};
const LINES_MAX = 300;

interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
}

/** `#room/x.ts` and `../x.ts` both become `room/x.ts`, so that no spelling escapes the table. */
function importsOf(file: string, text: string): Import[] {
  const statements = text.matchAll(/\b(?:(import|export)\s+(type\s)?[^'";]*?\bfrom|import)\s*\(?\s*['"]([^'"]+)['"]/g);
  return [...statements].map(([, , type, name = '']) => ({
    target: name.startsWith('.') ? join(dirname(file), name) : name.replace(/^#/, ''),
    typeOnly: type !== undefined,
  }));
}

function roomOf(file: string): Room {
  const homes = Object.keys(ROOMS).filter((home) => file === home || file.startsWith(`${home}/`));
  const home = homes.toSorted((a, b) => b.length - a.length)[0];
  if (home === undefined) throw new Error(`${file} lies in no room of ARCHITECTURE §2`);
  return ROOMS[home] as Room;
}

function strays(file: string, text: string): string[] {
  const { mayImport, mayImportTypes = [] } = roomOf(file);
  return importsOf(file, text)
    .filter(
      ({ target, typeOnly }) => ![...mayImport, ...(typeOnly ? mayImportTypes : [])].some((one) => one.test(target)),
    )
    .map(({ target }) => target);
}

const files = globSync('{shared,functions,agent,cdk,localstack}/**/*.{ts,js}').filter(
  (file) => !file.endsWith('.test.ts'),
);

describe('tidy', () => {
  it.each(files)('%s keeps to its room and to its size', (file) => {
    const text = readFileSync(file, 'utf8');
    expect(strays(file, text)).toEqual([]);
    expect(text.split('\n').length - 1).toBeLessThanOrEqual(LINES_MAX);
  });

  it.each([
    ['shared/namespace/x.ts', `import { open } from 'node:fs';`, 'node:fs'],
    ['shared/namespace/x.ts', `import type { S3Client } from '@aws-sdk/client-s3';`, '@aws-sdk/client-s3'],
    ['shared/namespace/x.ts', `import { s3UnderStore } from '../under-stores/s3.ts';`, 'shared/under-stores/s3.ts'],
    ['shared/model/x.ts', `const x = await import('#agent/main.ts');`, 'agent/main.ts'],
    ['shared/model/x.ts', `import '../../functions/api/api.ts';`, 'functions/api/api.ts'],
    ['shared/under-stores/x.ts', `export { open } from 'lmdb';`, 'lmdb'],
    ['functions/api/x.ts', `import {\n  cache,\n} from '#agent/cache/data-cache.ts';`, 'agent/cache/data-cache.ts'],
    [
      'functions/api/x.ts',
      `import { dynamoMetastore } from '../drivers/dynamodb.ts';`,
      'functions/drivers/dynamodb.ts',
    ],
    ['cdk/x.ts', `import { handler } from '#functions/handlers/api.ts';`, 'functions/handlers/api.ts'],
    ['agent/cli/x.ts', `import { createApi } from '#functions/api/api.ts';`, 'functions/api/api.ts'],
    ['agent/cli/x.ts', `import { s3UnderStore } from '#shared/under-stores/s3.ts';`, 'shared/under-stores/s3.ts'],
  ])('finds what is planted in %s: %s', (file, text, stray) => {
    expect(strays(file, text)).toEqual([stray]);
  });

  it('lets types of the API into the agent, and the app into its composition root', () => {
    expect(strays('agent/cli/x.ts', `import type { Api } from '#functions/api/api.ts';`)).toEqual([]);
    expect(strays('agent/main.ts', `import { createApi } from '#functions/api/api.ts';`)).toEqual([]);
  });
});
