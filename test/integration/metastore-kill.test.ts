import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inodeNumber, ROOT } from '#shared/model/ids.ts';
import type { Name } from '#shared/model/names.ts';
import type { Metastore } from '#shared/ports/metastore.ts';
import { openLmdb } from '../support/metastores.ts';

const COMMITTER = new URL('../support/committer.ts', import.meta.url).pathname;
const KILLS = 12;
const LIFE_MS_MAX = 150;
const GROUP = 3;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'leat-kill-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Lets a process commit until it is killed at a random moment after its first answer; what it said had answered. */
async function killedCommitter(durability: string, prefix: string): Promise<[string, number[]][]> {
  const child = spawn(process.execPath, [COMMITTER, dir, durability, prefix], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  await once(child.stdout, 'data');
  setTimeout(() => child.kill('SIGKILL'), Math.random() * LIFE_MS_MAX);
  await once(child, 'close');
  expect(child.signalCode).toBe('SIGKILL');
  const lines = text.slice(0, text.lastIndexOf('\n')).split('\n');
  return lines.map((line) => {
    const [group = '', ...ids] = line.split(' ');
    return [group, ids.map(Number)];
  });
}

/** Id numbers by name. */
async function rowsOf(metastore: Metastore): Promise<Map<string, number>> {
  const rows = new Map<string, number>();
  for (let after: Name | undefined; ;) {
    const page = await metastore.list(ROOT, { ...(after !== undefined && { after }), limit: 1000 });
    for (const { name, row } of page) rows.set(name, row.kind === 'record' ? -1 : inodeNumber(row.id));
    if (page.length < 1000) return rows;
    after = page.at(-1)?.name;
  }
}

describe.each(['relaxed', 'strict'])('a process that commits (%s) and is killed', (durability) => {
  it('has every commit that it was answered, none by halves, and no id twice', async () => {
    const answered = new Map<string, number>();
    for (let kill = 0; kill < KILLS; kill++) {
      for (const [group, ids] of await killedCommitter(durability, `life${kill}`)) {
        ids.forEach((id, i) => answered.set(`${group}-${i}`, id));
      }
      const metastore = openLmdb(dir);
      const rows = await rowsOf(metastore);
      expect([...answered].filter(([name, id]) => rows.get(name) !== id)).toEqual([]);
      expect(rows.size % GROUP).toBe(0);
      const groups = Map.groupBy(rows.keys(), (name) => name.slice(0, name.lastIndexOf('-')));
      expect([...groups].filter(([, names]) => names.length !== GROUP)).toEqual([]);
      expect(new Set([...rows.values(), inodeNumber(metastore.newId())]).size).toBe(rows.size + 1);
      await metastore.close();
    }
    expect(answered.size).toBeGreaterThan(KILLS * GROUP);
  });
});
