import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** What becomes of a request: `lost` never arrives, `unanswered` arrives and is applied, `broken` too, but is answered with 500. */
export type Fate =
  | 'lost'
  | 'unanswered'
  | 'broken'
  | { readonly refusal: string; readonly reasons?: readonly string[] }
  /** Of BatchGetItem: only so many of the keys are looked at. */
  | { readonly keysMax: number };

export interface FaultyDynamo {
  readonly endpoint: string;
  /** What came, by kind, in order. */
  readonly requests: string[];
  /** Asked for each request; undefined: nothing happens to it. It may act before it answers. */
  fate: (kind: string, nth: number) => Fate | undefined | Promise<Fate | undefined>;
  close(): Promise<void>;
}

/** A door to an engine that loses, refuses and shortens what goes through. */
export async function faultyDynamo(engine: string): Promise<FaultyDynamo> {
  const agent = new Agent({ keepAlive: true });
  const server = createServer((asked, answer) => {
    void pass(asked, answer).catch(() => answer.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const faulty: FaultyDynamo = {
    endpoint: `http://127.0.0.1:${port}`,
    requests: [],
    fate: () => undefined,
    async close() {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };

  async function pass(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const kind = String(asked.headers['x-amz-target']).replace(/.*\./, '');
    const body = await buffer(asked);
    const nth = faulty.requests.push(kind);
    const fate = await faulty.fate(kind, nth);
    if (fate === 'lost') return void answer.destroy();
    if (typeof fate === 'object' && 'refusal' in fate) return refuse(answer, fate);
    const { sent, unprocessed } = typeof fate === 'object' ? shortened(body, fate.keysMax) : { sent: body };
    // An engine takes no batch of nothing.
    if (sent === undefined) return answerWith(answer, 200, { Responses: {}, UnprocessedKeys: unprocessed });
    const got = await forward({ engine, agent, asked, body: sent });
    if (fate === 'unanswered') return void answer.destroy();
    if (fate === 'broken') return void answer.writeHead(500).end('{"__type":"InternalServerError"}');
    const said = JSON.parse(got.body.toString()) as object;
    answerWith(answer, got.status, unprocessed ? { ...said, UnprocessedKeys: unprocessed } : said);
  }

  return faulty;
}

function refuse(answer: ServerResponse, { refusal, reasons }: { refusal: string; reasons?: readonly string[] }): void {
  answerWith(answer, 400, {
    __type: `com.amazonaws.dynamodb.v20120810#${refusal}`,
    message: 'as the test wants it',
    ...(reasons && { CancellationReasons: reasons.map((Code) => ({ Code })) }),
  });
}

function answerWith(answer: ServerResponse, status: number, body: object): void {
  answer.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body));
}

type RequestItems = Record<string, { readonly Keys: readonly unknown[] }>;

function shortened(body: Buffer, keysMax: number): { sent?: Buffer | undefined; unprocessed?: RequestItems } {
  const asked = JSON.parse(body.toString()) as { RequestItems: RequestItems };
  const part = (from: number, to?: number): RequestItems =>
    Object.fromEntries(
      Object.entries(asked.RequestItems).map(([table, rest]) => [table, { ...rest, Keys: rest.Keys.slice(from, to) }]),
    );
  const sent = keysMax > 0 ? Buffer.from(JSON.stringify({ ...asked, RequestItems: part(0, keysMax) })) : undefined;
  return { sent, unprocessed: part(keysMax) };
}

interface Forwarded {
  readonly engine: string;
  readonly agent: Agent;
  readonly asked: IncomingMessage;
  readonly body: Buffer;
}

async function forward({ engine, agent, asked, body }: Forwarded): Promise<{ status: number; body: Buffer }> {
  const { host: _, ...headers } = asked.headers;
  const sent = request(engine, { method: 'POST', agent, headers: { ...headers, 'content-length': body.length } });
  sent.end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, body: await buffer(answer) };
}
