import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { LeatError } from '#shared/model/faults.ts';
import type { Actor } from '#shared/namespace/namespace.ts';
import type { ApiDeps } from './deps.ts';

/** What every handler knows of the caller. */
export interface ApiEnv {
  readonly Variables: { readonly actor: Actor; readonly isOwner: boolean };
}

/** Finds out who asks; throws `unauthorized` or `denied`. Each binding has its own way to know. */
export type Authenticate = (request: Request) => ApiEnv['Variables'];

export function guard({ authenticate }: Pick<ApiDeps, 'authenticate'>): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const { actor, isOwner } = authenticate(c.req.raw);
    c.set('isOwner', isOwner);
    c.set('actor', actor);
    await next();
  };
}

/** On loopback every user of the machine can knock; without the token they get what "others" may do. */
const NOBODY: Actor = { uid: 65_534, gid: 65_534, groups: [] };
const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

export interface TokenGuard {
  /** Who the holder of the token acts as. */
  readonly owner: Actor;
  /** 32 bytes or more of chance, as text. */
  readonly token: string;
  /** Only reachable from this machine: requests without a token are served as `nobody`. */
  readonly loopback: boolean;
}

/**
 * The token makes the caller the agent's owner; a wrong one is refused. On loopback two attacks by way of a browser are shut
 * out: a foreign name that resolves to 127.0.0.1 (by the Host header) and requests made by a page of another site (by Origin
 * and Sec-Fetch-Site, which a page cannot forge).
 */
export function byToken({ owner, token, loopback }: TokenGuard): Authenticate {
  return ({ headers, url }) => {
    const host = headers.get('host') ?? new URL(url).host;
    if (loopback && !LOOPBACK_HOST.test(host)) {
      throw new LeatError('denied', `this API answers to localhost and 127.0.0.1 only, not to '${host}'`);
    }
    refuseOtherSites(headers.get('origin'), headers.get('sec-fetch-site'), host);
    const isOwner = holdsToken(headers.get('authorization'), token);
    if (!isOwner && !loopback) throw unauthorized('this API');
    return { isOwner, actor: isOwner ? owner : NOBODY };
  };
}

/** For what changes the agent itself, whatever the permissions of files say. */
export const ownerOnly: MiddlewareHandler<ApiEnv> = async (c, next) => {
  if (!c.var.isOwner) throw unauthorized(`${c.req.method} ${c.req.path}`);
  await next();
};

function unauthorized(what: string): LeatError {
  const next = 'send `Authorization: Bearer TOKEN`; the token is in agent.json in the data directory of the agent';
  return new LeatError('unauthorized', `${what} needs the token of the agent: ${next}`);
}

function refuseOtherSites(origin: string | null, site: string | null, host: string): void {
  const sameOrigin = origin === null || origin === `http://${host}` || origin === `https://${host}`;
  const sameSite = site === null || site === 'none' || site === 'same-origin';
  if (!sameOrigin || !sameSite)
    throw new LeatError('denied', 'this API takes no requests from the pages of other sites');
}

function holdsToken(authorization: string | null, token: string): boolean {
  if (authorization === null) return false;
  // Digests have one length, so that comparing tells nothing of the token's.
  const digest = (text: string) => createHash('sha256').update(text).digest();
  if (timingSafeEqual(digest(authorization), digest(`Bearer ${token}`))) return true;
  throw new LeatError(
    'unauthorized',
    'the token of this request is not that of the running agent; read agent.json anew',
  );
}
