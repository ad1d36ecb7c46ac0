import type { Context, MiddlewareHandler } from 'hono';
import * as z from 'zod';
import { LeatError } from '#shared/model/faults.ts';
import { fromText, parseName, parsePath, toText } from '#shared/model/names.ts';

const JSON_BYTES_MAX = 1 << 20;
const QUERY_CHARS_MAX = 32 * 1024;

/** Text of an absolute path; bytes that are not UTF-8 stand as lone surrogates U+DC80 to U+DCFF. */
export const PathText = z.string().transform(parsePath);
export const NameText = z.string().transform((text) => parseName(fromText(text)));
export const Mode = z.int().min(0).max(0o7777);
export const Flag = z.enum(['true', 'false']).transform((text) => text === 'true');
export const Count = z
  .string()
  .regex(/^\d{1,9}$/)
  .transform(Number);

type Query = Record<string, string | undefined>;
type Validated<Target extends string, In, Out> = { in: Record<Target, In>; out: Record<Target, Out> };

/**
 * Checks the query against a schema. A value is the percent-decoded *bytes* of the URL, so a name that is not UTF-8 is
 * written `%80`. Hono's own reading leaves such an escape as it stands, and it could not be told from the name `%80`.
 */
export function query<Schema extends z.ZodType<unknown, Query>>(
  schema: Schema,
): MiddlewareHandler<object, string, Validated<'query', z.input<Schema>, z.output<Schema>>> {
  return async (c, next) => {
    c.req.addValidatedData('query', checked(schema, queryOf(c.req.url)) as object);
    await next();
  };
}

/** Checks a JSON body against a schema; at most 1 MiB of it is read. */
export function body<Schema extends z.ZodType>(
  schema: Schema,
): MiddlewareHandler<object, string, Validated<'json', z.input<Schema>, z.output<Schema>>> {
  return async (c, next) => {
    c.req.addValidatedData('json', checked(schema, await jsonOf(c)) as object);
    await next();
  };
}

export function checked<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message }) => `${path.join('.') || 'request'}: ${message}`);
  throw new LeatError('invalid', issues.join('; '));
}

function queryOf(url: string): Query {
  const start = url.indexOf('?');
  const text = start < 0 ? '' : url.slice(start + 1);
  if (text.length > QUERY_CHARS_MAX) throw new LeatError('tooLarge', 'the query of this URL is too long');
  const pairs = text.split('&').filter((pair) => pair !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=');
      const [name, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
      return [percentDecoded(name), percentDecoded(value)];
    }),
  );
}

function percentDecoded(encoded: string): string {
  const bytes = encoded
    .replaceAll('+', ' ')
    .replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return toText(bytes);
}

export async function jsonOf(c: Context): Promise<unknown> {
  const text = await limitedText(c.req.raw.body, JSON_BYTES_MAX);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LeatError('invalid', 'the body of this request must be JSON', { cause });
  }
}

async function limitedText(stream: ReadableStream<Uint8Array> | null, bytesMax: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const piece of stream ?? []) {
    bytes += piece.length;
    if (bytes > bytesMax)
      throw new LeatError('tooLarge', `the body of this request may have ${bytesMax} bytes at most`);
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}
