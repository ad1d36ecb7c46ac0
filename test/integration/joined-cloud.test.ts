import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { patientCall } from '#agent/joined/patient-call.ts';
import { registered } from '#agent/joined/registration.ts';
import { type Cloud, openCloud } from '#functions/cloud.ts';
import { cloudApi } from '#functions/cloud-api.ts';
import { drawnId, foretoldId } from '#functions/drivers/ids.ts';
import type { NamespaceDeps } from '#shared/namespace/context.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import { DYNAMODB_LOCAL, dynamoTables, MINISTACK } from '../support/dynamodb-engine.ts';
import { path, refused, ROOT_USER } from '../support/namespace.ts';
import { type Fetch, joinedBy, losing } from '../support/remote.ts';

const root = ROOT_USER;
const mode = 0o755;

describe.each([DYNAMODB_LOCAL, MINISTACK].filter((kind) => kind.isThere()))('the functions on $name', (kind) => {
  const tables = dynamoTables(kind);
  const printed: string[] = [];
  let cloud: Cloud;
  let fetch: Fetch;
  let deps: NamespaceDeps;

  beforeAll(async () => {
    const { table, metastore } = await tables.newTable();
    process.env['AWS_ENDPOINT_URL'] = tables.endpoint();
    cloud = openCloud({ LEAT_NAME: 'test', LEAT_TABLE: table, AWS_REGION: 'us-east-1' });
    const app = cloudApi({ ...cloud, namespace: await cloud.namespace(), print: (line) => void printed.push(line) });
    fetch = async (request) => app.fetch(request);
    const { clock, owner } = cloud;
    const sleep = async () => {};
    deps = {
      metastore,
      newId: drawnId,
      directoryIdOf: foretoldId,
      isShared: true,
      clock,
      sleep,
      owner,
      newToken,
      storeOf,
      log,
    };
  });
  afterAll(async () => {
    delete process.env['AWS_ENDPOINT_URL'];
    await (await cloud.namespace()).close();
    await cloud.metastore.close();
  });
  const newToken = () => crypto.randomUUID();
  const storeOf = () => {
    throw new Error('nothing is mounted here');
  };
  const log = (line: string) => void printed.push(line);
  const calling = (wrap: (fetch: Fetch) => Fetch = (plain) => plain) => ({
    fetch: wrap(fetch),
    url: 'https://here.lambda-url.us-east-1.on.aws',
    sleep: async () => {},
    random: () => 0.5,
  });
  /** Reads the table, or the rows over the API. */
  const join = async (wrap?: (fetch: Fetch) => Fetch, isLetAtTable = true): Promise<Namespace> =>
    joinedBy(calling(wrap), deps, isLetAtTable ? { direct: deps.metastore } : {});

  it('show one agent what another has done', async () => {
    const [one, other] = [await join(), await join(undefined, false)];
    await one.mkdir(root, path('/a/b/c'), { mode, parents: true });
    const made = await one.create(root, path('/a/b/c/\udcff'), { mode });
    expect([made.id.length, made.id.charCodeAt(0) < 0x80]).toEqual([16, true]);
    expect((await other.stat(root, path('/a/b/c/\udcff'))).inode).toEqual(made);
    await other.rename(root, path('/a/b'), path('/b'));
    expect((await one.stat(root, path('/b/c/\udcff'))).inode.id).toBe(made.id);
    await refused('notFound', one.stat(root, path('/a/b/c')));
    await one.mkdir(root, path('/a/b'), { mode });
    expect((await other.list(root, path('/a/b'), { limit: 10 })).entries).toEqual([]);
    await other.removeTree(root, path('/b'));
    await refused('notFound', one.stat(root, path('/b/c')));
  });

  it('carry out once what is sent twice', async () => {
    const agent = await join(losing((count) => count % 2 === 1));
    await agent.mkdir(root, path('/twice'), { mode });
    for (let i = 0; i < 5; i++) {
      const { id } = await agent.create(root, path(`/twice/${i}`), { mode });
      expect((await agent.rename(root, path(`/twice/${i}`), path(`/twice/${i}-moved`))).id).toBe(id);
    }
    await agent.remove(root, path('/twice/0-moved'), 'file');
    await refused('exists', agent.mkdir(root, path('/twice'), { mode }));
    const { entries } = await agent.list(root, path('/twice'), { limit: 10 });
    expect(entries.map(({ name }) => name)).toEqual(['1-moved', '2-moved', '3-moved', '4-moved']);
  });

  it('make the rows of many creators side by side', async () => {
    const agents = await Promise.all(Array.from({ length: 4 }, () => join()));
    await agents[0]?.mkdir(root, path('/many'), { mode });
    const made = agents.flatMap((agent, a) =>
      Array.from({ length: 16 }, (_, i) => agent.create(root, path(`/many/${a}-${i}`), { mode })),
    );
    const ids = (await Promise.all(made)).map(({ id }) => id);
    expect(new Set(ids).size).toBe(64);
    expect((await agents[1]?.list(root, path('/many'), { limit: 100 }))?.entries).toHaveLength(64);
  });

  it.skipIf(kind.name !== MINISTACK.name)('register an agent, and give it an inbox', async () => {
    const renewals: number[] = [];
    const call = patientCall(calling());
    const agent = { call, id: 'an-agent', log, onRenewed: () => void renewals.push(1) };
    const { registration, end } = await registered(agent);
    expect(registration).toMatchObject({ inbox: /leat-test-agent-an-agent$/, region: 'us-east-1', sequence: 0 });
    expect((await cloud.agents.joined()).map(({ id }) => id)).toEqual(['an-agent']);
    await end();
    expect(await cloud.agents.joined()).toEqual([]);
    const again = await registered(agent);
    expect(again.registration.inbox).toBe(registration.inbox);
    expect(again.registration.identity).toBe(registration.identity);
    await again.end();
  });

  it('print what happened, and no failures', () => {
    const lines = printed.map((line) => JSON.parse(line) as { op?: string; errors?: number });
    expect(new Set(lines.map(({ op }) => op))).toContain('rename');
    expect(lines.filter(({ errors }) => errors !== 0)).toEqual([]);
  });
});
