import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Certificate } from './certificate.ts';

/** What goes wrong with one answer. */
export type Strike =
  | { readonly status: number; readonly code?: string; readonly headers?: Record<string, string> }
  /** The body stops after so many bytes: with a reset, with the end of the connection, or for ever. */
  | { readonly after: number; readonly ending: 'reset' | 'end' | 'hang' }
  | 'hang'
  | 'reset'
  /** All right, but the connection is closed after it. */
  | 'close'
  /** All right, in chunks and without a length. */
  | 'chunked';

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  /** Counts from 1. */
  readonly number: number;
}

export interface FaultyS3 {
  readonly endpoint: string;
  readonly port: number;
  readonly asked: Asked[];
  /** Connections that were ever opened. */
  connections(): number;
  put(key: string, body: Buffer): void;
  /** Decides what happens to each request from now on. */
  strike: (asked: Asked) => Strike | undefined;
  /** Closes what clients keep open, as servers do with idle connections. */
  dropConnections(): void;
  stop(): Promise<void>;
}

export const BUCKET = 'faulty';

/** Objects of one bucket on loopback, and everything that can go wrong between them and a reader, on request. */
export async function startFaultyS3(tls?: Certificate): Promise<FaultyS3> {
  const objects = new Map<string, { body: Buffer; etag: string }>();
  const sockets = new Set<Socket>();
  const asked: Asked[] = [];
  let opened = 0;
  const answer = (request: http.IncomingMessage, response: http.ServerResponse) => {
    const { method = '', url = '', headers } = request;
    const one = { method, url, headers, number: asked.length + 1 };
    asked.push(one);
    const strike = server.strike(one);
    if (strike === 'hang') return;
    if (strike === 'reset') return void request.socket.resetAndDestroy();
    if (typeof strike === 'object' && 'status' in strike) return refuse(response, strike);
    if (strike === 'close') response.setHeader('Connection', 'close');
    if (url.includes('list-type=2')) return list(response, [...objects.keys()]);
    const object = objects.get(decodeURIComponent(url.split('?')[0] ?? '').replace(`/${BUCKET}/`, ''));
    if (!object) return refuse(response, { status: 404, code: 'NoSuchKey' });
    return send(one, object, { response, strike });
  };
  const listener = tls ? https.createServer({ ...tls }, answer) : http.createServer(answer);
  listener.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    opened++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const server: FaultyS3 = {
    endpoint: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    asked,
    connections: () => opened,
    put: (key, body) => void objects.set(key, { body, etag: createHash('md5').update(body).digest('hex') }),
    strike: () => undefined,
    dropConnections: () => sockets.forEach((socket) => socket.destroy()),
    async stop() {
      server.dropConnections();
      listener.close();
      await once(listener, 'close');
    },
  };
  return server;
}

function refuse(
  response: http.ServerResponse,
  { status, code = '', headers }: { status: number; code?: string; headers?: Record<string, string> },
): void {
  response.writeHead(status, { 'Content-Type': 'application/xml', ...headers });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>by request</Message></Error>`);
}

function list(response: http.ServerResponse, keys: readonly string[]): void {
  const contents = keys.map((key) => `<Contents><Key>${key}</Key><Size>1</Size><ETag>"e"</ETag></Contents>`);
  response.setHeader('Content-Type', 'application/xml');
  response.end(`<ListBucketResult><KeyCount>${keys.length}</KeyCount>${contents.join('')}</ListBucketResult>`);
}

function send(
  { method, headers }: Asked,
  { body, etag }: { body: Buffer; etag: string },
  { response, strike }: { response: http.ServerResponse; strike: Strike | undefined },
): void {
  if (headers['if-match'] !== undefined && headers['if-match'] !== `"${etag}"`)
    return refuse(response, { status: 412, code: 'PreconditionFailed' });
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  const start = Number(from ?? 0);
  const end = Math.min(body.length, Number(to ?? body.length - 1) + 1);
  if (start >= body.length) return refuse(response, { status: 416, code: 'InvalidRange' });
  const part = body.subarray(start, end);
  response.setHeader('ETag', `"${etag}"`);
  if (from !== undefined) response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${body.length}`);
  if (strike !== 'chunked') response.setHeader('Content-Length', part.length);
  response.statusCode = from === undefined ? 200 : 206;
  if (method === 'HEAD') return void response.end();
  if (typeof strike !== 'object' || !('after' in strike)) return sendPieces(response, part);
  response.write(part.subarray(0, strike.after), () => {
    if (strike.ending === 'reset') response.socket?.resetAndDestroy();
    else if (strike.ending === 'end') response.socket?.end();
  });
}

/** In several writes, so that chunks are many where there are chunks. */
function sendPieces(response: http.ServerResponse, part: Buffer): void {
  for (let at = 0; at < part.length; at += 10_007) response.write(part.subarray(at, at + 10_007));
  response.end();
}
