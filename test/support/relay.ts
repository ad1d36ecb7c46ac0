import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the relay does to a request: hands it on and loses the answer, or answers itself. */
export type Mischief = 'lose-answer' | { readonly status: number; readonly code: string };

export interface Relay {
  readonly endpoint: string;
  /** `METHOD url` of every request. */
  readonly asked: string[];
  mischief: (request: http.IncomingMessage) => Mischief | undefined;
  stop(): Promise<void>;
}

/** Stands before a real server, and lets happen on the way what happens on the way. */
export async function startRelay(target: string): Promise<Relay> {
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    asked.push(`${method} ${url}`);
    const mischief = relay.mischief(request);
    if (typeof mischief === 'object') {
      request.resume().once('end', () => {
        response.writeHead(mischief.status, { 'Content-Type': 'application/xml' });
        response.end(`<Error><Code>${mischief.code}</Code><Message>by request</Message></Error>`);
      });
      return;
    }
    const onward = http.request(new URL(url, target), { method, headers, agent: false }, (answer) => {
      if (mischief === 'lose-answer') {
        answer.resume().once('end', () => request.socket.resetAndDestroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => request.socket.destroy());
    request.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay: Relay = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    mischief: () => undefined,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return relay;
}
