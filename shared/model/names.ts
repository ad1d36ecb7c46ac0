import { LeatError } from './faults.ts';
import type { Brand } from './ids.ts';

/**
 * Names and paths are bytes. They are held as *byte strings*, one char (U+0000 to U+00FF) per byte, because then `<` is the
 * order of the bytes, `===` and Map keys work, and `latin1` moves them to and from buffers without a decoder.
 * `toText` and `fromText` are the only way out and in: UTF-8, with bytes that are not UTF-8 kept as lone surrogates
 * U+DC80 to U+DCFF (as Python's surrogateescape does), so that every POSIX name survives JSON.
 */
export type Name = Brand<string, 'Name'>;
/** Absolute, normalised: `/`, or `/` before each name, no `.`, `..`, empty name or slash at the end. */
export type Path = Brand<string, 'Path'>;

export const NAME_BYTES_MAX = 255;
export const PATH_BYTES_MAX = 4096;
export const ROOT_PATH = '/' as Path;

// oxlint-disable-next-line no-control-regex -- NUL to DEL is what ASCII means
const ASCII = /^[\x00-\x7f]*$/;
const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function fromText(text: string): string {
  if (ASCII.test(text)) return text;
  let bytes = '';
  for (const letter of text) {
    const code = letter.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) bytes += String.fromCharCode(code - 0xdc00);
    else for (const byte of encoder.encode(letter)) bytes += String.fromCharCode(byte);
  }
  return bytes;
}

export function toText(bytes: string): string {
  if (ASCII.test(bytes)) return bytes;
  const octets = Uint8Array.from(bytes, (char) => char.charCodeAt(0));
  try {
    return strictDecoder.decode(octets);
  } catch {
    return escapeInvalid(octets);
  }
}

/** True when the bytes are UTF-8, which S3 keys must be. */
export function isUtf8(bytes: string): boolean {
  return !/[\udc80-\udcff]/.test(toText(bytes)) || ASCII.test(bytes);
}

function escapeInvalid(octets: Uint8Array): string {
  let text = '';
  for (let at = 0; at < octets.length;) {
    const length = validSequenceLength(octets, at);
    text += length
      ? strictDecoder.decode(octets.subarray(at, at + length))
      : String.fromCharCode(0xdc00 + (octets[at] ?? 0));
    at += length || 1;
  }
  return text;
}

function validSequenceLength(octets: Uint8Array, at: number): number {
  for (let length = 1; length <= 4 && at + length <= octets.length; length++) {
    try {
      strictDecoder.decode(octets.subarray(at, at + length));
      return length;
    } catch {
      // a longer piece may be whole
    }
  }
  return 0;
}

/** Checks bytes from outside: one name of a directory entry. */
export function parseName(bytes: string): Name {
  if (bytes.length > NAME_BYTES_MAX) {
    throw new LeatError('nameTooLong', `${toText(bytes)}: a name has at most ${NAME_BYTES_MAX} bytes`);
  }
  if (bytes === '' || bytes === '.' || bytes === '..' || bytes.includes('/') || bytes.includes('\0')) {
    throw new LeatError('invalid', `'${toText(bytes)}' cannot be the name of a file`);
  }
  return bytes as Name;
}

/** Checks a path from outside, given as text. Slashes that repeat or end the path are dropped. */
export function parsePath(text: string): Path {
  const bytes = fromText(text);
  if (!bytes.startsWith('/')) throw new LeatError('invalid', `'${text}': a path starts with /`);
  if (bytes.length > PATH_BYTES_MAX) {
    throw new LeatError('nameTooLong', `${text.slice(0, 64)}…: a path has at most ${PATH_BYTES_MAX} bytes`);
  }
  const names = bytes.split('/').filter((part) => part !== '');
  return `/${names.map(parseName).join('/')}` as Path;
}

export function namesOf(path: Path): Name[] {
  return path === '/' ? [] : (path.slice(1).split('/') as Name[]);
}

export function joinPath(directory: Path, name: Name): Path {
  return (directory === '/' ? `/${name}` : `${directory}/${name}`) as Path;
}

/** The directory of a path; the root's is the root. */
export function parentOf(path: Path): Path {
  return (path.slice(0, path.lastIndexOf('/')) || '/') as Path;
}

/** The last name of a path; the root's is empty. */
export function baseName(path: Path): Name {
  return path.slice(path.lastIndexOf('/') + 1) as Name;
}

/** The directory itself, or what lies below it. */
export function isWithin(path: Path, directory: Path): boolean {
  return path === directory || directory === ROOT_PATH || path.startsWith(`${directory}/`);
}
