import { describe, expect, it } from 'vitest';
import type { Following, NamespaceEvent } from '#shared/feed/events.ts';
import { LeatError } from '#shared/model/faults.ts';
import { fromText, parsePath, type Path } from '#shared/model/names.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import { api, FILE, OWNER } from '../../test/support/api.ts';
import { eventBlocks } from './event-stream.ts';

const made = (path: string, cursor?: string): NamespaceEvent => ({
  what: 'created',
  path: parsePath(path),
  inode: FILE,
  ...(cursor !== undefined && { cursor }),
});

/** An API whose events are these, and what it was asked for. */
function apiOf(events: readonly NamespaceEvent[], own: Partial<Namespace> = {}) {
  const asked: Following[] = [];
  const { request } = api({
    ...own,
    events: {
      async *follow(following) {
        asked.push(following);
        yield* events;
      },
    },
  });
  return { request, asked };
}

describe('GET /v1/events', () => {
  it('sends blocks with the cursor as their id, paths of any bytes in JSON', async () => {
    const { request } = apiOf([{ what: 'ready', cursor: 'e-0' }, made('/a'), made('/\udc80\n', 'e-1')]);
    const response = await request('/v1/events', OWNER);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const blocks = (await response.text()).split('\n\n');
    expect(blocks[0]).toBe('event: ready\nid: e-0\ndata: {}');
    expect(blocks[1]).toMatch(/^event: created\ndata: {"path":"\/a","kind":"file","inode":1,"size":10,/);
    expect(blocks[2]).toMatch(/^event: created\nid: e-1\ndata: {"path":"\/\\udc80\\n",/);
    expect(blocks.slice(3)).toEqual(['']);
  });

  it('asks in the name of the caller, at the path without symlinks', async () => {
    const { request, asked } = apiOf([], { stat: async () => ({ path: '/true' as Path, inode: FILE }) });
    await (await request('/v1/events?path=/link&after=e-1', OWNER)).text();
    await (await request('/v1/events')).text();
    expect(asked[0]).toMatchObject({ path: '/true', after: 'e-1', actor: { uid: 0, checked: true } });
    expect(asked[1]).toMatchObject({ path: '/true', actor: { uid: 65_534 } });
    expect(asked[1]?.actor.checked).toBeUndefined();
    expect(asked[1]?.after).toBeUndefined();
  });

  it('lets a browser go on where it was, though its URL is that of the first time', async () => {
    const { request, asked } = apiOf([]);
    await (await request('/v1/events?after=e-1', { ...OWNER, 'last-event-id': 'e-7' })).text();
    expect(asked[0]?.after).toBe('e-7');
  });

  it('refuses what is no cursor, and paths that are not there', async () => {
    expect((await apiOf([]).request('/v1/events?after=a%20b', OWNER)).status).toBe(400);
    expect((await apiOf([]).request('/v1/events', { ...OWNER, 'last-event-id': 'a b' })).status).toBe(400);
    const gone = api({ stat: () => Promise.reject(new LeatError('notFound', '/a is not there')) });
    expect((await gone.request('/v1/events?path=/a', OWNER)).status).toBe(404);
  });

  it('lets so many follow, and others when one has ended', async () => {
    const { request } = api({
      events: {
        async *follow({ signal }) {
          yield { what: 'ready', cursor: 'e-0' };
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        },
      },
    });
    for (let i = 0; i < 300; i++) await (await request('/v1/events', OWNER)).body?.cancel();
    for (let i = 0; i < 300; i++) await request('/v1/events', OWNER, { method: 'HEAD' });
    const open: Response[] = [];
    for (let i = 0; i < 256; i++) open.push(await request('/v1/events', OWNER));
    expect(open.map(({ status }) => status)).toEqual(open.map(() => 200));
    expect((await request('/v1/events', OWNER)).status).toBe(423);
    const reader = open[0]?.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    expect((await request('/v1/events', OWNER)).status).toBe(200);
  });

  it('ends what it follows when the reader goes away', async () => {
    const ended = Promise.withResolvers<void>();
    const { request } = api({
      events: {
        async *follow({ signal }) {
          yield { what: 'ready', cursor: 'e-0' };
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          ended.resolve();
        },
      },
    });
    const reader = (await request('/v1/events', OWNER)).body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toContain('event: ready');
    await reader?.cancel();
    await ended.promise;
  });
});

describe('eventBlocks', () => {
  const blocksOf = (events: AsyncIterable<NamespaceEvent>) =>
    eventBlocks(events, { pulseMs: 1, dataOf: ({ path }) => ({ path: fromText(path) }) });

  it('comments where nothing is to be told, and moves the cursor on', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const blocks = blocksOf(
      (async function* (): AsyncGenerator<NamespaceEvent> {
        yield { what: 'passed', cursor: 'e-5' };
        await promise;
        yield made('/a', 'e-6');
      })(),
    );
    expect((await blocks.next()).value).toBe(': keep-alive\nid: e-5\n\n');
    expect((await blocks.next()).value).toBe(': keep-alive\n\n');
    resolve();
    let last = '';
    for await (const block of blocks) last = block;
    expect(last).toBe('event: created\nid: e-6\ndata: {"path":"/a"}\n\n');
  });

  it('comments also while much happens that is not to be seen', async () => {
    const busy = (async function* (): AsyncGenerator<NamespaceEvent> {
      for (let i = 0; ; i++) yield { what: 'passed', cursor: `e-${i}` };
    })();
    const { value } = await blocksOf(busy).next();
    expect(value).toMatch(/^: keep-alive\nid: e-\d+\n\n$/);
  });

  it('says why it ends', async () => {
    const texts: string[] = [];
    const failing = (async function* (): AsyncGenerator<NamespaceEvent> {
      yield { what: 'ready', cursor: 'e-1' };
      throw new LeatError('unavailable', 'the table does not answer');
    })();
    for await (const block of blocksOf(failing)) texts.push(block);
    expect(texts.at(-1)).toBe('event: error\ndata: {"kind":"unavailable","message":"the table does not answer"}\n\n');
  });
});
