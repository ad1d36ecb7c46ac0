import { once } from 'node:events';
import http from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface LoopbackProxy {
  readonly url: string;
  /** `METHOD target` of everything that it was asked for. */
  readonly asked: string[];
  stop(): Promise<void>;
}

/** Forwards requests and makes tunnels; with a user it demands that they come with it. */
export async function startProxy(user?: string): Promise<LoopbackProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const wanted = user === undefined ? undefined : `Basic ${Buffer.from(user).toString('base64')}`;
  const isRefused = ({ headers }: http.IncomingMessage) =>
    wanted !== undefined && headers['proxy-authorization'] !== wanted;
  const server = http.createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    asked.push(`${method} ${url}`);
    if (isRefused(request)) return void response.writeHead(407).end();
    const onward = http.request(url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.writeHead(502).end());
    request.pipe(onward);
    return undefined;
  });
  server.on('connect', (request: http.IncomingMessage, socket: Socket) => {
    asked.push(`CONNECT ${request.url}`);
    if (isRefused(request)) return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    const [host = '', port = ''] = (request.url ?? '').split(':');
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    sockets.add(onward);
    for (const end of [socket, onward]) end.on('error', () => [socket, onward].forEach((each) => each.destroy()));
    return undefined;
  });
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${user === undefined ? '' : `${user}@`}127.0.0.1:${port}`,
    asked,
    async stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
