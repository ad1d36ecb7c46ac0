import { randomUUID } from 'node:crypto';

/** Loads the function `api` from a bundle and calls it, as Lambda does; prints what that took as the last line. */
export interface Called {
  /** From the start of the load to the handler. */
  readonly initMs: number;
  readonly firstMs: number;
  /** Of the process, up to the first answer, Node's own start included. */
  readonly cpuMs: number;
  /** By operation: milliseconds of each call. */
  readonly warm: Readonly<Record<string, readonly number[]>>;
}

type Handler = (event: object, context: object) => Promise<{ statusCode: number; body: string }>;

const ACTOR = { uid: 0, gid: 0, groups: [] };
const [, , bundle = '', warm = '0'] = process.argv;

const startedAt = performance.now();
const { handler } = (await import(bundle)) as { handler: Handler };
const initMs = performance.now() - startedAt;

async function timed(op: string, input: object): Promise<number> {
  const at = performance.now();
  const event = {
    version: '2.0',
    routeKey: '$default',
    rawPath: `/v1/namespace/${op}`,
    rawQueryString: '',
    headers: { host: 'abc.lambda-url.us-east-1.on.aws', 'content-type': 'application/json' },
    requestContext: { http: { method: 'POST', path: `/v1/namespace/${op}` } },
    isBase64Encoded: false,
    body: JSON.stringify({ actor: ACTOR, ...input }),
  };
  const { statusCode, body } = await handler(event, {});
  if (statusCode !== 200) throw new Error(`${op} was answered ${statusCode}: ${body}`);
  return performance.now() - at;
}

const firstMs = await timed('stat', { path: '/' });
const { user, system } = process.cpuUsage();

async function times(op: string, input: () => object): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < Number(warm); i++) all.push(await timed(op, input()));
  return all;
}

const called: Called = {
  initMs,
  firstMs,
  cpuMs: (user + system) / 1000,
  warm: {
    stat: await times('stat', () => ({ path: '/' })),
    create: await times('create', () => ({ path: `/${randomUUID()}`, mode: 0o644 })),
    list: await times('list', () => ({ path: '/', limit: 100 })),
  },
};
console.log(JSON.stringify(called));
process.exit(0);
