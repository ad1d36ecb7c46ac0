import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Server } from 'node:http';
import { LeatError } from '#shared/model/faults.ts';

export interface Listen {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface ApiServer {
  readonly url: string;
  /** Takes no new requests, and ends those that run after a moment. */
  close(): Promise<void>;
}

const GRACE_MS = 2000;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

export async function serveApi(
  fetch: (request: Request) => Response | Promise<Response>,
  { host, port }: Listen,
): Promise<ApiServer> {
  const server = createAdaptorServer({ fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(error, { host, port })));
    server.listen(port, host, resolve);
  });
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const grace = setTimeout(() => server.closeAllConnections(), GRACE_MS);
      await closed;
      clearTimeout(grace);
    },
  };
}

function cannotListen(error: NodeJS.ErrnoException, { host, port }: Listen): LeatError {
  const taken = error.code === 'EADDRINUSE' ? 'it is taken by another program; choose another --port' : error.message;
  return new LeatError('busy', `the API cannot listen on ${host}:${port}: ${taken}`, { cause: error });
}
