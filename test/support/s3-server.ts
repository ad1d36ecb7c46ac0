import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { versitygw } from './versitygw.ts';

export const S3_ENGINES = ['s3rver', ...(versitygw() ? (['versitygw'] as const) : [])] as const;
/** It holds to conditions, takes names as long as S3's, and shows no object that is half there: s3rver does none of this. */
export const HAS_STRICT_S3 = versitygw() !== undefined;
export type S3Engine = 's3rver' | 'versitygw';

const REGION = 'us-east-1';
/** What s3rver has built in; versitygw takes any. */
const KEY = 'S3RVER';
const START_TIMEOUT_MS = 30_000;
const S3RVER = new URL('./s3rver.js', import.meta.url).pathname;

/** A real S3 server on loopback, in a process of its own. */
export interface S3Server {
  readonly engine: S3Engine;
  readonly endpoint: string;
  readonly client: S3Client;
  /** For a process that is to use it: credentials and region, and nothing of what the machine has set. */
  readonly env: Readonly<Record<string, string>>;
  /** For a store of this process: how to reach and use it. */
  readonly options: Readonly<Record<string, string>>;
  newBucket(): Promise<string>;
  /** Kills the server, as an outage does; `up` starts it again at the same address, over the same objects. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** Ends it and deletes its objects. */
  stop(): Promise<void>;
}

export async function startS3Server(engine: S3Engine = versitygw() ? 'versitygw' : 's3rver'): Promise<S3Server> {
  const folder = mkdtempSync(join(tmpdir(), `leat-${engine}-`));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const credentials = { accessKeyId: KEY, secretAccessKey: KEY };
  const client = new S3Client({ endpoint, region: REGION, forcePathStyle: true, credentials });
  let child: ChildProcess | undefined;
  let buckets = 0;
  const server: S3Server = {
    engine,
    endpoint,
    client,
    env: {
      AWS_ACCESS_KEY_ID: KEY,
      AWS_SECRET_ACCESS_KEY: KEY,
      AWS_REGION: REGION,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    options: {
      's3.endpoint': endpoint,
      's3.region': REGION,
      's3.access-key-id': KEY,
      's3.secret-access-key': KEY,
    },
    async newBucket() {
      const bucket = `bucket-${++buckets}`;
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
      return bucket;
    },
    async down() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
    async up() {
      child = start(engine, folder, port);
      await listening(child, port);
    },
    async stop() {
      await server.down();
      client.destroy();
      rmSync(folder, { recursive: true });
    },
  };
  await server.up();
  return server;
}

function start(engine: S3Engine, folder: string, port: number): ChildProcess {
  const stdio = ['ignore', 'ignore', 'inherit'] as const;
  if (engine === 's3rver') {
    // Its page tokens are ciphers that OpenSSL 3 has put away.
    const args = ['--openssl-legacy-provider', S3RVER, folder, String(port)];
    return spawn(process.execPath, args, { stdio: [...stdio] });
  }
  const env = { ...process.env, ROOT_ACCESS_KEY: KEY, ROOT_SECRET_KEY: KEY };
  const args = ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', folder];
  return spawn(versitygw() ?? '', args, { stdio: [...stdio], env });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  for (const until = Date.now() + START_TIMEOUT_MS; Date.now() < until; await sleep(20)) {
    if (child.exitCode !== null) throw new Error(`the S3 server ended with ${child.exitCode}`);
    const socket = connect(port, '127.0.0.1');
    const answers = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (answers) return;
  }
  throw new Error(`the S3 server does not listen on port ${port} after ${START_TIMEOUT_MS} ms`);
}
