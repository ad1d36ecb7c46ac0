import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands before a real S3 server and hands everything on, but for what it answers by itself with `503 SlowDown`. */
export interface StormyProxy {
  readonly endpoint: string;
  /** From 0 to 1: the share of requests that it refuses. */
  refused: number;
  /** How many it has refused. */
  count: number;
  stop(): Promise<void>;
}

export async function startStormyProxy(target: string): Promise<StormyProxy> {
  const { hostname, port } = new URL(target);
  let requests = 0;
  const agent = new http.Agent({ keepAlive: true });
  const listener = http.createServer((request, response) => {
    // Evenly spread, and the same in every run.
    const isRefused = Math.floor(++requests * proxy.refused) > Math.floor((requests - 1) * proxy.refused);
    if (isRefused) {
      proxy.count++;
      request.resume();
      response.writeHead(503, { 'Content-Type': 'application/xml' });
      return void response.end('<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>a storm</Message></Error>');
    }
    const { method, url, rawHeaders } = request;
    const onward = http.request({ hostname, port, method, path: url, headers: rawHeaders, agent }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const proxy: StormyProxy = {
    endpoint: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    refused: 0,
    count: 0,
    async stop() {
      agent.destroy();
      listener.closeAllConnections();
      listener.close();
      await once(listener, 'close');
    },
  };
  return proxy;
}
