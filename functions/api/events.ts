import { Hono } from 'hono';
import * as z from 'zod';
import { inodeNumber } from '#shared/model/ids.ts';
import { LeatError } from '#shared/model/faults.ts';
import type { Inode } from '#shared/model/inode.ts';
import { ROOT_PATH, toText } from '#shared/model/names.ts';
import type { FileEvent } from '#shared/feed/events.ts';
import type { ApiDeps } from './deps.ts';
import { eventBlocks, streamOf } from './event-stream.ts';
import type { ApiEnv } from './guard.ts';
import { PathText, query } from './validated.ts';

/** Often enough for proxies that close what is silent. */
const KEEP_ALIVE_MS = 15_000;
/** Each is a connection, and a place in the feed. */
const FOLLOWERS_MAX = 256;
const CURSOR = /^[\w-]{1,64}$/;

const Cursor = z.string().regex(CURSOR, 'is no cursor: pass the id of an event');
const EventsQuery = z.object({ path: PathText.default(ROOT_PATH), after: Cursor.optional() });

/** What `data` of created, changed and removed holds. Of what was removed it is what was there last. */
export interface EventInfo {
  readonly path: string;
  readonly kind: Inode['kind'];
  /** st_ino. */
  readonly inode: number;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: string;
  readonly generation: number;
}

/** What happens to files, as it happens. */
export function eventsApi({ namespace, events }: ApiDeps) {
  let followers = 0;
  return (
    new Hono<ApiEnv>()
      /**
       * Server-sent events of what is at a path (default /) and below it: `ready` once all that was missed has been sent, then
       * `created`, `changed` and `removed` with an `EventInfo`; a rename is `removed` and `created`. In order within a directory.
       * From now on, or behind the cursor `after` (or Last-Event-ID): the `id` of the last event that was received. `gap`:
       * events were lost, because the reader was away or slow; look at the files. `error` ends the stream with {kind, message}.
       * Shown are the directories that the caller may list. Errors: notFound, denied, busy (too many follow).
       */
      .get('/', query(EventsQuery), async (c) => {
        const wanted = c.req.valid('query');
        const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' };
        const { path } = await namespace.stat(c.var.actor, wanted.path, { follow: true });
        const after = lastEventId(c.req.header('last-event-id')) ?? wanted.after;
        const actor = { ...c.var.actor, ...(c.var.isOwner && { checked: true }) };
        // Hono answers HEAD by this very handler, and drops the body without cancelling it.
        if (c.req.method === 'HEAD') return c.body(null, 200, headers);
        if (followers === FOLLOWERS_MAX) throw tooMany();
        followers++;
        const ended = new AbortController();
        const end = () => {
          if (!ended.signal.aborted) followers--;
          ended.abort();
        };
        const signal = AbortSignal.any([c.req.raw.signal, ended.signal]);
        const following = { actor, path, signal, ...(after !== undefined && { after }) };
        const blocks = eventBlocks(events.follow(following), { dataOf: eventInfo, pulseMs: KEEP_ALIVE_MS });
        return c.body(streamOf(blocks, end), 200, headers);
      })
  );
}

function tooMany(): LeatError {
  return new LeatError('busy', `${FOLLOWERS_MAX} follow the events here already; end one of them, or try again later`);
}

/** A browser that connects again repeats the URL of the first time, and says here how far it came. */
function lastEventId(header: string | undefined): string | undefined {
  if (header === undefined || header === '') return undefined;
  if (CURSOR.test(header)) return header;
  throw new LeatError('invalid', `Last-Event-ID: '${header.slice(0, 64)}' is no cursor: send the id of an event`);
}

function eventInfo({ path, inode }: FileEvent): EventInfo {
  const { kind, id, size, mode, uid, gid, mtime, generation } = inode;
  return { path: toText(path), kind, inode: inodeNumber(id), size, mode, uid, gid, mtimeNs: String(mtime), generation };
}
