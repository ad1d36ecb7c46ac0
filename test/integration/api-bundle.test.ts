import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bundle, bundleApi, called } from '../support/api-bundle.ts';
import { ANY_ENGINE, dynamoTables } from '../support/dynamodb-engine.ts';

describe.skipIf(!ANY_ENGINE.isThere())('the bundle of the API', () => {
  const tables = dynamoTables(ANY_ENGINE);
  const dir = mkdtempSync(join(tmpdir(), 'leat-bundle-'));
  let bundle: Bundle;
  beforeAll(async () => {
    bundle = await bundleApi(dir);
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  it('carries what is used: a function that starts reads all of it', () => {
    expect(bundle.bytes).toBeLessThan(900 * 1024);
    // All languages that zod speaks are three times what is used of it.
    expect(bundle.shares.get('zod')).toBeLessThan(150 * 1024);
  });

  it('runs by itself, on nothing but Node', async () => {
    const { table } = await tables.newTable();
    const env = { LEAT_NAME: 'test', LEAT_TABLE: table, AWS_ENDPOINT_URL: tables.endpoint() };
    const { warm } = await called(bundle, env, 3);
    expect(Object.values(warm).map((times) => times.length)).toEqual([3, 3, 3]);
  });
});
