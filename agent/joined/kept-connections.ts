import { Agent, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

const CONNECTIONS_MAX = 64;
const LOCAL_ADDRESS = '127.0.0.1';

/** Nobody has got the request: it may be sent again at once. */
export class NotSent extends Error {}

const UNREACHED: readonly unknown[] = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];

export interface Exchange {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
}

/**
 * One request and its whole answer, over connections that are kept. The global `fetch` drops one after four seconds and sets
 * the Host header by itself, though it is what a cloud on this machine tells functions apart by.
 */
export function keptConnections() {
  const options = { keepAlive: true, maxSockets: CONNECTIONS_MAX, proxyEnv: process.env, lookup };
  const agents = { 'http:': new Agent(options), 'https:': new TlsAgent(options) };
  return (url: URL, { method, headers, body, signal }: Exchange): Promise<Response> =>
    new Promise((resolve, reject) => {
      const isPlain = url.protocol === 'http:';
      const send = isPlain ? plainRequest : tlsRequest;
      const agent = isPlain ? agents['http:'] : agents['https:'];
      const request = send(url, { method, headers, signal, agent }, (answer) => {
        const pieces: Buffer[] = [];
        answer.on('data', (piece: Buffer) => void pieces.push(piece));
        answer.on('error', reject);
        answer.on('end', () => {
          const bytes = Buffer.concat(pieces);
          // There are statuses that a response with a body, be it empty, may not have.
          resolve(new Response(bytes.length > 0 ? bytes : null, { status: answer.statusCode ?? 0 }));
        });
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        // A connection that has been idle for too long is closed by the other side without a look at what still comes.
        const isStale = request.reusedSocket && error.code === 'ECONNRESET';
        reject(isStale || UNREACHED.includes(error.code) ? new NotSent(error.message, { cause: error }) : error);
      });
      request.end(body);
    });
}

/** Every name below `localhost` is this machine (RFC 6761), but few resolvers know. */
const lookup: LookupFunction = (hostname, options, found) => {
  const name = hostname.endsWith('.localhost') ? LOCAL_ADDRESS : hostname;
  systemLookup(name, options, found);
};
