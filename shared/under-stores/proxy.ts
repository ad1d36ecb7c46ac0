import type { TcpNetConnectOpts } from 'node:net';
import { LeatError } from '../model/faults.ts';

export interface Proxy extends Pick<TcpNetConnectOpts, 'host' | 'port'> {
  /** Value of `Proxy-Authorization`, when the proxy's URL holds a user. */
  readonly authorization?: string;
}

interface Server {
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
}

/** The proxy that the environment names for a server: HTTPS_PROXY or HTTP_PROXY, unless NO_PROXY names the server. */
export function proxyFor({ isTls, host, port }: Server, env: NodeJS.ProcessEnv = process.env): Proxy | undefined {
  const value = isTls ? (env['https_proxy'] ?? env['HTTPS_PROXY']) : (env['http_proxy'] ?? env['HTTP_PROXY']);
  if (!value || isExempt(host, port, env['no_proxy'] ?? env['NO_PROXY'] ?? '')) return undefined;
  const url = URL.parse(value.includes('://') ? value : `http://${value}`);
  if (url?.protocol !== 'http:')
    throw new LeatError('invalid', `${isTls ? 'HTTPS_PROXY' : 'HTTP_PROXY'}: give http://HOST:PORT`); // it may hold a password
  const user = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 80),
    ...(url.username !== '' && { authorization: `Basic ${Buffer.from(user).toString('base64')}` }),
  };
}

function isExempt(host: string, port: number, list: string): boolean {
  return list.split(/[\s,]+/).some((entry) => {
    const [, name = '', only] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry) ?? [];
    if (only !== undefined && Number(only) !== port) return false;
    return entry === '*' || (name !== '' && (host === name || host.endsWith(`.${name}`)));
  });
}
