import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureMinistack } from '../../localstack/ministack.ts';
import type { DynamoEngine } from './dynamodb-local.ts';

const START_MS_MAX = 60_000;

/** The local cloud's engine, empty, on a free port of loopback; undefined where there is no Python to run it. */
export async function startMinistack(): Promise<DynamoEngine | undefined> {
  const program = ensureMinistack();
  if (program === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'leat-ministack-'));
  const port = await freePort();
  const child = spawn(program, {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...process.env,
      // Functions run with the first `node` that it finds.
      PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
      GATEWAY_PORT: String(port),
      BIND_HOST: '127.0.0.1',
    },
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint = `${complaint}${chunk.toString()}`.slice(-2000)));
  const ended = once(child, 'exit');
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const engine: DynamoEngine = {
    name: 'ministack',
    endpoint: `http://127.0.0.1:${port}`,
    async stop() {
      process.off('exit', kill);
      kill();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
  for (const until = Date.now() + START_MS_MAX; Date.now() < until; await sleep(50)) {
    if (child.exitCode !== null) throw new Error(`ministack ended with ${child.exitCode}: ${complaint}`);
    if (await answers(engine.endpoint)) return engine;
  }
  await engine.stop();
  throw new Error(`ministack does not answer after ${START_MS_MAX} ms: ${complaint}`);
}

async function answers(endpoint: string): Promise<boolean> {
  return fetch(`${endpoint}/_localstack/health`).then(
    (response) => response.ok,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
