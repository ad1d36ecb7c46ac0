import type { FileInfo } from '#functions/api/file-info.ts';

const KINDS = { file: '-', directory: 'd', symlink: 'l', fifo: 'p', socket: 's', character: 'c', block: 'b' } as const;
const STEPS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `0 B`, `1.5 KiB`, `20 GiB`: three digits at most, binary steps. */
export function humanBytes(bytes: number): string {
  let step = 0;
  let value = bytes;
  while (value >= 1024 && step < STEPS.length - 1) {
    value /= 1024;
    step++;
  }
  const digits = step === 0 || value >= 10 ? 0 : 1;
  return `${value.toFixed(digits)} ${STEPS[step]}`;
}

/** `1 file`, `2 files`. */
export function fileCount(files: number): string {
  return `${files} ${files === 1 ? 'file' : 'files'}`;
}

/** `drwxr-xr-x`, with s and t for setuid, setgid and sticky as ls prints them. */
export function modeText(kind: FileInfo['kind'], mode: number): string {
  const triple = (shift: number, special: number, letter: string) => {
    const bits = mode >> shift;
    const runs = (bits & 1) !== 0;
    const last = (mode & special) === 0 ? (runs ? 'x' : '-') : runs ? letter : letter.toUpperCase();
    return `${(bits & 4) !== 0 ? 'r' : '-'}${(bits & 2) !== 0 ? 'w' : '-'}${last}`;
  };
  return KINDS[kind] + triple(6, 0o4000, 's') + triple(3, 0o2000, 's') + triple(0, 0o1000, 't');
}

/** `2026-11-24 01:46:00`, in UTC. */
export function timeText(ns: string): string {
  return new Date(Number(BigInt(ns) / 1_000_000n)).toISOString().slice(0, 19).replace('T', ' ');
}

/** One line as `ls -l` prints it, with how much of a file is cached here. */
export function longLine(info: FileInfo, label: string): string {
  const { kind, mode, uid, gid, size, mtimeNs, target } = info;
  const cached = kind !== 'file' ? '' : size === 0 ? '100%' : `${Math.floor((100 * (info.cachedBytes ?? 0)) / size)}%`;
  const arrow = target === undefined ? '' : ` -> ${target}`;
  const columns = [String(uid).padStart(6), String(gid).padStart(6), String(size).padStart(12), cached.padStart(5)];
  return `${modeText(kind, mode)} ${columns.join(' ')} ${timeText(mtimeNs)} ${label}${arrow}`;
}
