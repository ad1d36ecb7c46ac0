import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import aws4 from 'aws4';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refused } from '../../test/support/namespace.ts';
import { signedFetch } from './signed-fetch.ts';

const IDENTITY = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret', sessionToken: 'session' };
const nobody = () => Promise.reject(new Error('no credentials'));

interface Heard {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const heard: Heard[] = [];
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (piece: Buffer) => (body += piece.toString()));
  request.on('end', () => {
    heard.push({ method: request.method, url: request.url, headers: request.headers, body });
    response.end('{}');
  });
});
let port = 0;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

function post(url: string, body = '{"path":"/é"}'): Request {
  return new Request(url, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
}

/** What another implementation signs, of the request as it arrived. */
function authorizationOf({ method, url, headers, body }: Heard, region: string): unknown {
  const names = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '')?.[1]?.split(';') ?? [];
  const signed = Object.fromEntries(names.map((name) => [name, String(headers[name])]));
  const request = { host: headers.host ?? '', path: url ?? '', method: method ?? '', body, service: 'lambda', region };
  const options = { ...request, headers: signed, extraHeadersToIgnore: { 'content-length': true } };
  return aws4.sign(options as aws4.Request, IDENTITY).headers?.['Authorization'];
}

describe('a signed request', () => {
  it.each(['eu-central-1', 'us-east-1'])('is what AWS would accept of a function URL in %s', async (region) => {
    const url = `http://abc.lambda-url.${region}.localhost:${port}/v1/namespace/stat`;
    const answer = await signedFetch({ credentials: async () => IDENTITY })(post(url));
    expect(answer.status).toBe(200);
    const last = heard.at(-1) as Heard;
    expect(last).toMatchObject({ url: '/v1/namespace/stat', body: '{"path":"/é"}' });
    expect(last.headers).toMatchObject({ host: `abc.lambda-url.${region}.localhost:${port}` });
    expect(last.headers['x-amz-security-token']).toBe('session');
    expect(last.headers.authorization).toMatch(/host;.*x-amz-content-sha256/);
    expect(last.headers.authorization).toBe(authorizationOf(last, region));
  });

  it('is signed anew each time, as whom the machine is then', async () => {
    const keys = ['first', 'second'];
    const fetch = signedFetch({ credentials: async () => ({ ...IDENTITY, accessKeyId: keys.shift() ?? '' }) });
    for (let i = 0; i < 2; i++) await fetch(post(`http://127.0.0.1:${port}/`));
    const used = heard.slice(-2).map(({ headers }) => /Credential=(\w+)/.exec(headers.authorization ?? '')?.[1]);
    expect(used).toEqual(['first', 'second']);
  });
});

describe('without credentials', () => {
  it('a cloud on this machine is asked without a signature, and they are looked for once', async () => {
    let looked = 0;
    const fetch = signedFetch({
      credentials: () => {
        looked++;
        return nobody();
      },
    });
    for (let i = 0; i < 2; i++) await fetch(post(`http://abc.localhost:${port}/`));
    expect(heard.at(-1)?.headers).not.toHaveProperty('authorization');
    expect(looked).toBe(1);
  });

  it('another one is not asked', async () => {
    const before = heard.length;
    const fetch = signedFetch({ credentials: nobody });
    await refused('denied', fetch(post(`https://127.0.0.1:${port}/`)));
    await refused('denied', fetch(post('http://192.0.2.1/')));
    expect(heard).toHaveLength(before);
  });
});
