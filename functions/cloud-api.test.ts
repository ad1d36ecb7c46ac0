import { handle } from 'hono/aws-lambda';
import { describe, expect, it } from 'vitest';
import { ChangeLog } from '#shared/feed/log.ts';
import { ROOT } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import { FILE } from '../test/support/api.ts';
import { openers } from '../test/support/metastores.ts';
import { openNamespace } from '../test/support/namespace.ts';
import { cloudApi } from './cloud-api.ts';
import { touchedRows } from './touched-rows.ts';

const { heap } = openers();
const ACTOR = { uid: 0, gid: 0, groups: [] };
const TRACE = 'Root=1-67891233-abcdef012345678912345678;Sampled=1';

/** As a function URL hands a request to its function. */
function eventOf(method: string, path: string, body?: object, query = '') {
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString: query,
    headers: {
      host: 'abc.lambda-url.eu-central-1.on.aws',
      'content-type': 'application/json',
      'x-amzn-trace-id': TRACE,
    },
    requestContext: { http: { method, path, protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'leat' } },
    isBase64Encoded: false,
    ...(body && { body: JSON.stringify(body) }),
  };
}

async function opened() {
  const printed: Record<string, unknown>[] = [];
  const left: string[] = [];
  let rests = 0;
  const { metastore, clock } = await heap();
  const log = new ChangeLog({ metastore, clock });
  const touched = touchedRows(metastore);
  const { namespace } = await openNamespace({ metastore: { ...metastore, ...touched.metastore }, isShared: true });
  const registration = { inbox: 'q', table: 't', region: 'r', identity: 'i', leaseMs: 1, directReads: true };
  const app = cloudApi({
    jobs: { settled: async () => {} },
    name: 'here',
    namespace: { ...namespace, rest: async () => void rests++ },
    recorded: touched.recorded,
    metastore,
    registry: {
      join: async (id) => ({ ...registration, sequence: id.length }),
      leave: async (id) => void left.push(id),
    },
    owner: ACTOR,
    log,
    clock,
    print: (line) => void printed.push(JSON.parse(line) as Record<string, unknown>),
  });
  const handler = handle(app) as unknown as (
    event: object,
  ) => Promise<{ statusCode: number; body: string; headers: object; isBase64Encoded: boolean }>;
  const ask = async (...args: Parameters<typeof eventOf>) => {
    const { statusCode, body, headers } = await handler(eventOf(...args));
    return { status: statusCode, headers, answer: body === '' ? undefined : (JSON.parse(body) as unknown) };
  };
  const askText = async (...args: Parameters<typeof eventOf>) => {
    const { body, isBase64Encoded } = await handler(eventOf(...args));
    return Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8').toString();
  };
  return { ask, askText, log, printed, left, rests: () => rests };
}

describe('the API in a function', () => {
  it('serves whom IAM lets in, as the owner and as whom an agent says', async () => {
    const { ask } = await opened();
    const made = await ask('POST', '/v1/namespace/mkdir', { actor: { ...ACTOR, uid: 7 }, path: '/a', mode: 0o755 });
    expect(made.status).toBe(403);
    expect(await ask('POST', '/v1/files', { kind: 'directory', path: '/a' })).toMatchObject({ status: 201 });
    expect(await ask('GET', '/v1/files/list', undefined, 'path=/')).toMatchObject({
      status: 200,
      answer: { entries: [{ name: 'a', uid: 0 }] },
    });
  });

  it('tells which rows an answer has changed', async () => {
    const { ask } = await opened();
    const at = { actor: ACTOR, path: '/a' };
    const made = await ask('POST', '/v1/namespace/create', { ...at, mode: 0o644 });
    const root = { directory: '\0\0\0\0\0\u0001', name: 'a' };
    expect(made).toMatchObject({ status: 200, answer: { touched: [root] } });
    expect((await ask('POST', '/v1/namespace/stat', at)).answer).not.toHaveProperty('touched');
    expect((await ask('POST', '/v1/namespace/remove', { ...at, kind: 'file' })).answer).toEqual({ touched: [root] });
  });

  it('leaves nothing to be done behind an answer', async () => {
    const { ask, rests } = await opened();
    await ask('POST', '/v1/namespace/create', { actor: ACTOR, path: '/a', mode: 0o644 });
    await ask('POST', '/v1/namespace/create', { actor: ACTOR, path: '/a', mode: 0o644 });
    expect(rests()).toBe(2);
  });

  it('tells what has happened, for as long as one answer can be, and then how to go on', async () => {
    const { askText, log } = await opened();
    const file = { key: { directory: ROOT, name: 'made' as Name }, before: undefined, after: FILE };
    await log.append([file]);
    const text = await askText('GET', '/v1/events', undefined, 'after=0');
    expect(text).toMatch(/^event: created\nid: 1\ndata: {"path":"\/made","kind":"file",.*}\n\nevent: ready\nid: 1\n/);
    expect(await askText('GET', '/v1/events', undefined, 'after=1')).toBe('event: ready\nid: 1\ndata: {}\n\n');
  });

  it('registers agents', async () => {
    const { ask, left } = await opened();
    expect(await ask('POST', '/v1/agents', { id: 'an-agent' })).toMatchObject({ answer: { inbox: 'q', sequence: 8 } });
    expect(await ask('POST', '/v1/agents', { id: '../x' })).toMatchObject({ status: 400, answer: { kind: 'invalid' } });
    expect(await ask('DELETE', '/v1/agents/an-agent')).toMatchObject({ status: 204 });
    expect(left).toEqual(['an-agent']);
  });

  it.each([
    ['GET', '/v1/agent', undefined],
    ['POST', '/v1/agent/stop', undefined],
    ['POST', '/v1/content/free', { path: '/' }],
  ])('says who does what only an agent can: %s %s', async (method, path, body) => {
    const { ask } = await opened();
    expect(await ask(method, path, body)).toMatchObject({
      status: 501,
      answer: { kind: 'unsupported', message: /leat up --join/ },
    });
  });

  it('prints a line for each request that CloudWatch counts, with the trace it is in', async () => {
    const { ask, printed } = await opened();
    const { headers } = await ask('POST', '/v1/namespace/stat', { actor: ACTOR, path: '/nothing' });
    await ask('GET', '/v1/files', undefined, 'path=/');
    await ask('POST', '/v1/namespace/whatever', {});
    await ask('GET', '/whatever/else');
    expect(headers).toMatchObject({ 'x-amzn-trace-id': TRACE });
    expect(printed.map(({ op, status, errors, trace }) => ({ op, status, errors, trace }))).toEqual([
      { op: 'stat', status: 404, errors: 0, trace: TRACE },
      { op: 'GET /v1/files', status: 200, errors: 0, trace: TRACE },
      { op: 'POST /v1/namespace/:op', status: 501, errors: 1, trace: TRACE },
      { op: 'GET /*', status: 404, errors: 0, trace: TRACE },
    ]);
    expect(printed[0]).toMatchObject({
      name: 'here',
      requests: 1,
      _aws: { CloudWatchMetrics: [{ Namespace: 'Leat', Dimensions: [['name'], ['name', 'op']] }] },
    });
  });
});
