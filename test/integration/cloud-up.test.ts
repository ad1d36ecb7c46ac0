import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteItemCommand, DynamoDBClient, PutItemCommand, QueryCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signedFetch } from '#agent/joined/signed-fetch.ts';
import { fromMessage } from '#shared/feed/inbox-message.ts';
import { toText } from '#shared/model/names.ts';
import { type LocalCloud, startLocalCloud } from '../../localstack/local-cloud.ts';
import { ensureMinistack } from '../../localstack/ministack.ts';
import { type Identity, userWith } from '../support/iam.ts';

const SOON_MS = 20_000;
const UP = new URL('../../localstack/up.ts', import.meta.url).pathname;
const DOWN = new URL('../../localstack/down.ts', import.meta.url).pathname;
const ROOT_ACTOR = { uid: 0, gid: 0, groups: [] };
const AN_ITEM = { d: { B: new Uint8Array([1]) }, n: { B: new Uint8Array([0]) } };

/** Says on the console why, where there is none. */
const hasEngine = ensureMinistack() !== undefined;

const clientOf = (cloud: LocalCloud, identity: Identity) => ({
  endpoint: cloud.endpoint,
  region: cloud.env['AWS_REGION'] ?? '',
  credentials: identity,
});

async function call(cloud: LocalCloud, [identity, path]: readonly [Identity, string], body: object) {
  const request = new Request(new URL(path, cloud.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const response = await signedFetch({ credentials: async () => identity })(request);
  return { status: response.status, answer: (await response.json()) as unknown };
}

describe.skipIf(!hasEngine)('on a cloud that enforces its policies', () => {
  let cloud: LocalCloud;
  let agent: Identity;
  const stat = { actor: ROOT_ACTOR, path: '/' };
  const put = () => new PutItemCommand({ TableName: cloud.tableName, Item: AN_ITEM });

  beforeAll(async () => {
    cloud = await startLocalCloud({ dir: mkdtempSync(join(tmpdir(), 'leat-cloud-')), enforceIam: true });
    agent = await userWith(cloud, 'agent', [cloud.agentsPolicyArn]);
  });
  afterAll(() => cloud?.stop());

  it('the URL lets agents in, and nobody whom it does not know, or who has no such policy', async () => {
    const asked = [agent, '/v1/namespace/stat'] as const;
    expect(await call(cloud, asked, stat)).toMatchObject({ status: 200, answer: { path: '/' } });
    const unknown = { accessKeyId: 'AKIASTRANGER00000000', secretAccessKey: 'x' };
    expect((await call(cloud, [unknown, asked[1]], stat)).status).toBe(403);
    const other = await userWith(cloud, 'other', []);
    expect((await call(cloud, [other, asked[1]], stat)).status).toBe(403);
  });

  it('agents read the table and do not write it', async () => {
    const reader = new DynamoDBClient(clientOf(cloud, agent));
    const query = {
      TableName: cloud.tableName,
      KeyConditionExpression: 'd = :d',
      ExpressionAttributeValues: { ':d': AN_ITEM.d },
    };
    await expect(reader.send(new QueryCommand(query))).resolves.toMatchObject({ Count: 0 });
    await expect(reader.send(put())).rejects.toMatchObject({ name: 'AccessDeniedException' });
    await expect(
      reader.send(new DeleteItemCommand({ TableName: cloud.tableName, Key: AN_ITEM })),
    ).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
    await expect(reader.send(new ScanCommand({ TableName: cloud.tableName }))).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
  });

  it('agents with the policy of direct mode write it', async () => {
    const direct = await userWith(cloud, 'direct', [cloud.agentsPolicyArn, cloud.directAgentsPolicyArn]);
    await expect(new DynamoDBClient(clientOf(cloud, direct)).send(put())).resolves.toBeDefined();
  });
});

describe.skipIf(!hasEngine)('what the stack does', () => {
  let cloud: LocalCloud;
  let owner: Identity;
  let dir = '';
  const engineLog = () => readFileSync(join(dir, 'engine.log'), 'utf8');

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'leat-cloud-'));
    cloud = await startLocalCloud({ dir });
    const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = cloud.env;
    owner = { accessKeyId, secretAccessKey };
  });
  afterAll(() => cloud?.stop());

  it('a change comes to the inbox of an agent, by the stream and the feed', async () => {
    const { answer } = await call(cloud, [owner, '/v1/agents'], { id: 'one' });
    const { inbox } = answer as { inbox: string };
    const made = { actor: ROOT_ACTOR, path: '/seen', mode: 0o644 };
    expect((await call(cloud, [owner, '/v1/namespace/create'], made)).status).toBe(200);
    const queues = new SQSClient(clientOf(cloud, owner));
    const heard: string[] = [];
    await eventually(async () => {
      const inboxOf = { QueueUrl: inbox, WaitTimeSeconds: 1, MaxNumberOfMessages: 10 };
      const { Messages: messages = [] } = await queues.send(new ReceiveMessageCommand(inboxOf));
      const changes = messages.flatMap(({ Body: body = '' }) => fromMessage(body).changes);
      heard.push(...changes.map(({ key }) => toText(key.name)));
      return heard.includes('seen');
    });
    expect(heard).toContain('seen');
  });

  it('what lies in the queues of jobs and of events is done', async () => {
    const queues = new SQSClient(clientOf(cloud, owner));
    const events = cloud.jobsQueueUrl.replace(/[^/]+$/, cloud.eventsQueueArn.split(':').at(-1) ?? '');
    const send = (QueueUrl: string, body: object) =>
      queues.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify(body) }));
    await send(events, { Records: [] });
    await send(cloud.jobsQueueUrl, { job: 'catchUp' });
    const done = [/JobsFunction\S* processed 1 SQS/, /EventsFunction\S* processed 1 SQS/];
    await eventually(async () => done.every((line) => line.test(engineLog())));
    expect(engineLog()).not.toContain('"level":"error"');
  });
});

describe.skipIf(!hasEngine)('cloud:up and cloud:down', () => {
  let dir = '';
  let port = 0;
  const run = (program: string) => {
    const env = { ...process.env, LEAT_CLOUD_DIR: dir, LEAT_CLOUD_PORT: String(port), LEAT_CLOUD_ENGINE: 'ministack' };
    const { status, stdout, stderr } = spawnSync(process.execPath, [program], { env, encoding: 'utf8' });
    return { status, stdout, stderr };
  };
  const pid = () => Number(readFileSync(join(dir, 'engine.pid'), 'utf8'));

  beforeAll(async () => {
    dir = join(mkdtempSync(join(tmpdir(), 'leat-cloud-up-')), 'cloud');
    port = await freePort();
  });
  afterAll(() => {
    run(DOWN);
    rmSync(join(dir, '..'), { recursive: true, force: true });
  });

  it('prints the line that joins, the same one as long as it is up, and ends all of it', () => {
    const first = run(UP);
    expect(first).toMatchObject({ status: 0, stderr: '' });
    const join = /npm start -- --join (http:\S+)/.exec(first.stdout)?.[1];
    expect(join).toMatch(new RegExp(`^http://[a-z0-9]+\\.lambda-url\\.us-east-1\\.localhost:${port}/$`));
    const engine = pid();

    const again = run(UP);
    expect(again.stdout).toContain(`--join ${join}`);
    expect(pid()).toBe(engine);

    expect(run(DOWN)).toMatchObject({ status: 0, stdout: expect.stringContaining('nothing of it is left') });
    expect(isAlive(engine)).toBe(false);
    expect(existsSync(dir)).toBe(false);
    expect(run(DOWN)).toMatchObject({ status: 0, stdout: 'no local cloud was up\n' });
  });

  it('begins anew where the engine was killed', async () => {
    expect(run(UP).status).toBe(0);
    const killed = pid();
    process.kill(killed, 'SIGKILL');
    await eventually(async () => !isAlive(killed));
    expect(run(UP)).toMatchObject({ status: 0, stdout: expect.stringContaining('--join') });
    expect(pid()).not.toBe(killed);
  });

  it('says what to do where another program has the port', async () => {
    run(DOWN);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
    try {
      const refused = run(UP);
      expect(refused.status).toBe(1);
      expect(refused.stderr).toContain(`port ${port} is in use`);
      expect(refused.stderr).toContain('LEAT_CLOUD_PORT');
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  });
});

async function eventually<Result>(look: () => Promise<Result | undefined>): Promise<Result> {
  for (const until = Date.now() + SOON_MS; Date.now() < until; await sleep(100)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`not within ${SOON_MS} ms`);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
