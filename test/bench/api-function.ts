import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { dynamoClient } from '#functions/drivers/dynamodb-client.ts';
import { bundleApi, called } from '../support/api-bundle.ts';
import { createTable, DYNAMODB_LOCAL } from '../support/dynamodb-engine.ts';

/**
 * The function `api`, bundled as the stack does, started cold in processes of its own and asked warm, over DynamoDB Local on
 * this machine. `node test/bench/api-function.ts [--cold 10] [--warm 500]`
 */
const { values } = parseArgs({
  options: { cold: { type: 'string', default: '10' }, warm: { type: 'string', default: '500' } },
});
const TABLE = 'leat-bench';
const SHARES_SHOWN = 8;

const at = (sorted: readonly number[], part: number) => sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN;
function spread(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  return `p50 ${at(sorted, 0.5).toFixed(1)} ms, p99 ${at(sorted, 0.99).toFixed(1)} ms`;
}

const AWS = { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'bench', AWS_SECRET_ACCESS_KEY: 'bench' };
Object.assign(process.env, AWS);
const engine = await DYNAMODB_LOCAL.start();
if (!engine) throw new Error('DynamoDB Local needs Java and Maven');
const dir = mkdtempSync(join(tmpdir(), 'leat-bench-'));
const client = dynamoClient({ endpoint: engine.endpoint });
try {
  await createTable(client, TABLE);
  const bundle = await bundleApi(dir);
  const shares = [...bundle.shares].toSorted(([, a], [, b]) => b - a).slice(0, SHARES_SHOWN);
  const gzipped = gzipSync(readFileSync(bundle.file)).length;
  console.log(`bundle ${(bundle.bytes / 1024).toFixed(0)} KiB (${(gzipped / 1024).toFixed(0)} KiB gzipped)`);
  console.log(`of it ${shares.map(([name, bytes]) => `${name} ${(bytes / 1024).toFixed(0)}`).join(', ')} KiB`);
  const env = { LEAT_NAME: 'bench', LEAT_TABLE: TABLE, AWS_ENDPOINT_URL: engine.endpoint };
  const colds = [];
  for (let i = 0; i < Number(values.cold); i++) colds.push(await called(bundle, env, 0));
  console.log(`cold: load and init ${spread(colds.map(({ initMs }) => initMs))}`);
  console.log(`cold: first answer  ${spread(colds.map(({ firstMs }) => firstMs))}`);
  console.log(`cold: CPU in all    ${spread(colds.map(({ cpuMs }) => cpuMs))}`);
  const { warm } = await called(bundle, env, Number(values.warm));
  for (const [op, times] of Object.entries(warm)) console.log(`warm: ${op.padEnd(13)} ${spread(times)}`);
} finally {
  client.destroy();
  await engine.stop();
  rmSync(dir, { recursive: true });
}
