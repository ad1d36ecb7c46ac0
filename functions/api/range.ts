import type { ByteRange } from '#shared/ports/under-store.ts';

/**
 * The part of `size` bytes that a Range header asks for. `undefined`: all of it, which RFC 9110 also prescribes for a header
 * that cannot be understood and allows for more ranges than one. `unsatisfiable`: it lies wholly behind the end.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '') ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length > 0 ? { offset: size - length, length } : 'unsatisfiable';
  }
  const offset = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < offset) return undefined;
  return offset < size ? { offset, length: end - offset + 1 } : 'unsatisfiable';
}
