import type { TcpNetConnectOpts } from 'node:net';
import type { ServerAddress } from './http-connections.ts';

/** The proxy that the environment names for a server: HTTPS_PROXY or HTTP_PROXY, unless NO_PROXY names the server. */
export function proxyFor(
  { isTls, host }: ServerAddress,
  env: NodeJS.ProcessEnv = process.env,
): TcpNetConnectOpts | undefined {
  const value = isTls ? (env['https_proxy'] ?? env['HTTPS_PROXY']) : (env['http_proxy'] ?? env['HTTP_PROXY']);
  if (!value || isExempt(host, env['no_proxy'] ?? env['NO_PROXY'] ?? '')) return undefined;
  const url = new URL(value.includes('://') ? value : `http://${value}`);
  return { host: url.hostname, port: Number(url.port || 80) };
}

function isExempt(host: string, list: string): boolean {
  const entries = list.split(',').map((entry) => entry.trim().replace(/^\*?\./, ''));
  return entries.some((entry) => entry === '*' || (entry !== '' && (host === entry || host.endsWith(`.${entry}`))));
}
