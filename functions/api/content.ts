import { Hono } from 'hono';
import * as z from 'zod';
import { inodeNumber } from '#shared/model/ids.ts';
import { toLeatError } from '#shared/model/faults.ts';
import { type Path, toText } from '#shared/model/names.ts';
import type { Actor, Found } from '#shared/namespace/namespace.ts';
import type { ApiDeps, Content, LoadFailure, LoadProgress } from './deps.ts';
import { changedInfo } from './file-info.ts';
import { type ApiEnv, ownerOnly } from './guard.ts';
import { openBytes } from './opened.ts';
import { PathText, body, query } from './validated.ts';

const FILE_MODE = 0o644;
const OctalMode = z
  .string()
  .regex(/^[0-7]{1,4}$/, 'must be octal digits')
  .transform((digits) => Number.parseInt(digits, 8));

const At = z.object({ path: PathText });
const PutQuery = At.extend({ mode: OctalMode.optional() });

/** The bytes of files. */
export function contentApi(deps: ApiDeps) {
  const { namespace, content } = deps;
  return (
    new Hono<ApiEnv>()
      /** The bytes, or the part that a Range header asks for (206; 416 behind the end). The ETag changes with the content. Errors: notFound, isDirectory, denied, changed, unavailable. */
      .get('/', query(At), async (c) => {
        const { path } = c.req.valid('query');
        const wanted = { path, range: c.req.header('range'), signal: c.req.raw.signal };
        const { found, range, bytes } = await openBytes(deps, c.var.actor, wanted);
        const { size } = found.inode;
        if (range === 'unsatisfiable') {
          const message = `${toText(path)} has ${size} bytes; the range lies behind its end`;
          return c.json({ kind: 'invalid', message }, 416, { 'content-range': `bytes */${size}` });
        }
        const status = range ? 206 : 200;
        const headers = {
          'accept-ranges': 'bytes',
          'content-type': 'application/octet-stream',
          'content-length': String(range?.length ?? size),
          etag: etagOf(found),
          ...(range && { 'content-range': `bytes ${range.offset}-${range.offset + range.length - 1}/${size}` }),
        };
        if (c.req.method !== 'HEAD') return c.body(bytes, status, headers);
        // Hono answers HEAD by this very handler, and drops the body without cancelling it.
        await bytes.cancel();
        return c.body(null, status, headers);
      })
      /** Replaces or makes a whole file with the body; `mode` in octal digits. It shows when all is in the store. Errors: notFound (of the parent), readOnly, isDirectory, noSpace. */
      .put('/', query(PutQuery), async (c) => {
        const { path, mode } = c.req.valid('query');
        const length = c.req.header('content-length');
        const inode = await namespace.write(c.var.actor, path, c.req.raw.body ?? noBytes(), {
          mode: mode ?? FILE_MODE,
          ...(length !== undefined && { size: Number(length) }),
        });
        return c.json(changedInfo(path, inode), 201);
      })
      /**
       * Caches a file or all files below a directory. Answers lines of JSON: how far it is (`LoadProgress`, at most a few a
       * second, and a last one), `{path, kind, message}` for each file that fails, and `{kind, message}` last if all failed.
       */
      .post('/load', ownerOnly, body(At), async (c) => {
        const { path } = c.req.valid('json');
        await namespace.stat(c.var.actor, path, { follow: true });
        const lines = ReadableStream.from(loadLines(content, c.var.actor, path, c.req.raw.signal));
        return c.body(lines, 200, { 'content-type': 'application/x-ndjson' });
      })
      /** Written files that are not in their store yet, or whose entry was lost: `{files: [{path, bytes, state, reason, local}]}`. */
      .get('/written', ownerOnly, async (c) => {
        const files = await content.written();
        return c.json({ files: files.map((file) => ({ ...file, ...(file.path && { path: toText(file.path) }) })) });
      })
      /** Tries again at once what could not be stored. */
      .post('/written/retry', ownerOnly, (c) => {
        content.retryWritten();
        return c.json({ retrying: true }, 202);
      })
      /** Drops what is cached of a file or of all files below a directory; answers how many `files` and `bytes`. */
      .post('/free', ownerOnly, body(At), async (c) =>
        c.json(await content.free(c.var.actor, c.req.valid('json').path)),
      )
  );
}

function etagOf({ inode }: Found): string {
  return `"${inodeNumber(inode.id).toString(36)}-${inode.generation}"`;
}

async function* noBytes(): AsyncGenerator<Uint8Array> {
  // An empty body.
}

/** The answer has begun when something fails, so the failure is its last line. */
async function* loadLines(content: Content, actor: Actor, path: Path, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const line = (value: object) => encoder.encode(`${JSON.stringify(value)}\n`);
  try {
    for await (const event of content.load(actor, path, signal)) yield line(eventInfo(event));
  } catch (error) {
    const { kind, message } = toLeatError(error);
    yield line({ kind, message });
  }
}

function eventInfo(event: LoadProgress | LoadFailure): object {
  return 'path' in event ? { ...event, path: toText(event.path) } : event;
}
