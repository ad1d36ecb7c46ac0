import aws4 from 'aws4';
import { describe, expect, it } from 'vitest';
import { encodeKey, ObjectRequests, type S3Endpoint } from './s3-request.ts';

const DATE_MS = Date.UTC(2026, 10, 23, 15, 0, 7, 999);
const identity = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const endpoint: S3Endpoint = {
  isTls: true,
  host: 's3.example',
  port: 9000,
  authority: 's3.example:9000',
  pathPrefix: '/bucket/',
  region: 'eu-central-1',
};
const plain = { isRequesterPays: false, origin: '', proxyLines: '' };
const KEYS = ['a', 'a/b c+d%25', "quotes'()*!", 'ü/日本/😀', 'a//b/./c/../d', 'new\nline&=?#@:;,$'];

function headersOf(text: string): Record<string, string> {
  const lines = text.split('\r\n').slice(1, -2);
  return Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.indexOf(':')),
      line.slice(line.indexOf(':') + 2 - (line[line.indexOf(':') + 1] === ' ' ? 0 : 1)),
    ]),
  );
}

/** What a library of others makes of the same request. */
function authorizationByAws4(key: string, headers: Record<string, string>, token?: string): string {
  const { Authorization: _, Range: __, ...signed } = headers;
  const request = {
    service: 's3',
    region: endpoint.region,
    method: 'GET',
    path: `/bucket/${encodeKey(key)}`,
    headers: signed,
  };
  aws4.sign(request, { ...identity, ...(token !== undefined && { sessionToken: token }) });
  return String((request.headers as Record<string, string>)['Authorization']);
}

describe('ObjectRequests', () => {
  it.each(KEYS)('signs a GET of %j as another implementation of SigV4 does', (key) => {
    for (const [style, sessionToken] of [
      [plain, undefined],
      [{ ...plain, isRequesterPays: true }, undefined],
      [{ ...plain, isRequesterPays: true }, 'token//=='],
    ] as const) {
      const requests = new ObjectRequests(endpoint, style);
      const who = { ...identity, ...(sessionToken !== undefined && { sessionToken }) };
      const text = requests.text({ key, offset: 5, end: 10, etag: undefined, identity: who, dateMs: DATE_MS });
      const headers = headersOf(text);
      expect(text).toMatch(/^GET \/bucket\/[^ \n]+ HTTP\/1\.1\r\nHost: s3\.example:9000\r\nRange: bytes=5-9\r\n/);
      expect(headers['x-amz-date']).toBe('20261123T150007Z');
      expect(headers['Authorization']).toBe(authorizationByAws4(key, headers, sessionToken));
    }
  });

  it('derives another key on another day and for another identity', () => {
    const requests = new ObjectRequests(endpoint, plain);
    const request = { key: 'a', offset: 0, end: 1, etag: undefined, identity, dateMs: DATE_MS };
    for (const one of [request, { ...request, dateMs: DATE_MS + 86_400_000 }, request]) {
      const headers = headersOf(requests.text(one));
      expect(headers['Authorization']).toBe(authorizationByAws4('a', headers));
    }
    const other = headersOf(requests.text({ ...request, identity: { ...identity, secretAccessKey: 'other' } }));
    expect(other['Authorization']).not.toBe(authorizationByAws4('a', other));
  });

  it('leaves the signature out for the anonymous, and asks for a version when one is known', () => {
    const style = { isRequesterPays: true, origin: 'http://s3.example:9000', proxyLines: 'Proxy-Authorization: x\r\n' };
    const request = { key: 'a', offset: 0, end: 1, etag: 'e', identity: undefined, dateMs: DATE_MS };
    expect(new ObjectRequests(endpoint, style).text(request)).toBe(
      'GET http://s3.example:9000/bucket/a HTTP/1.1\r\nHost: s3.example:9000\r\nRange: bytes=0-0\r\nIf-Match: "e"\r\n' +
        'x-amz-request-payer: requester\r\nProxy-Authorization: x\r\n\r\n',
    );
  });
});
