import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { clockTickMs } from './clock-tick.ts';

const WRITES = 200;

it('after that time a write shows by the time of its file', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'leat-tick-'));
  const tickMs = clockTickMs(dir);
  expect(readdirSync(dir)).toEqual([]);
  const fd = openSync(join(dir, 'f'), 'w');
  const times = new Set<bigint>();
  const writes = tickMs === 0 ? WRITES : 5;
  for (let i = 0; i < writes; i++) {
    writeSync(fd, 'x', 0);
    times.add(fstatSync(fd, { bigint: true }).mtimeNs);
    if (tickMs > 0) await sleep(tickMs);
  }
  expect(times.size).toBe(writes);
  closeSync(fd);
  rmSync(dir, { recursive: true });
});
