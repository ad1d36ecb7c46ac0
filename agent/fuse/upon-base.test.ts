import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BaseBlocks } from '../dirty/base-blocks.ts';
import type { LiveFile } from './live-files.ts';
import type { Request } from './requests.ts';
import type { Session } from './session.ts';
import { changing } from './upon-base.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leat-upon-base-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const requestOf = (number: number) =>
  ({ unique: [number, 0], bytes: Buffer.from([number]), length: 1 }) as unknown as Request;

it('changes of a file wait for what one of them brings, each with its own bytes and for its own failure', () => {
  const base = BaseBlocks.of(join(dir, 'map'), { size: 10_000, generation: 1, isHere: false });
  const live = { node: { inodeId: 'f' }, base, waiting: undefined } as unknown as LiveFile;
  const asked: (() => void)[] = [];
  const failed: number[] = [];
  const session = {
    ask: (_request: Request, _question: unknown, answered: () => void) => void asked.push(answered),
    guarded([number]: Request['unique'], act: () => void) {
      try {
        act();
      } catch {
        failed.push(number);
      }
    },
  } as unknown as Session;
  const written: (number | undefined)[] = [];
  const write = (number: number, offset: number) =>
    changing(session, requestOf(number), { live, range: { offset, length: 5 } }, ([byte]) => {
      if (number === 2) throw new Error('no room');
      written.push(byte);
    });

  write(1, 10);
  write(2, 0);
  write(3, 5000);
  expect([asked.length, written]).toEqual([1, []]);
  base.bring({ offset: 0, length: 8192 }, () => {});
  asked[0]?.();
  expect([asked.length, written, failed]).toEqual([1, [1, 3], [2]]);
  write(4, 20);
  expect(written).toEqual([1, 3, 4]);
  base.close();
});
