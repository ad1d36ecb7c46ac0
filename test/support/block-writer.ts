/**
 * Writes files of blocks for ever, in all the ways that programs have, and says each step before it takes it and once it is done:
 * who kills it knows what must be there, and what may be. Usage: node block-writer.ts FOLDER SEED
 */
import { closeSync, constants, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Step } from './ledger.ts';
import { BLOCK_BYTES, makeBlock } from './blocks.ts';
import { randomFrom } from './yielding-metastore.ts';

const NAMES = ['one', 'two', 'three'];
const { O_CREAT, O_TRUNC, O_WRONLY } = constants;
/** Mostly small; now and then some that cross the pages of the cache. */
const BLOCKS_MAX = [4, 20, 20, 600];
const RUN_BLOCKS_MAX = 40;
const VERSIONS_MAX = 1_000_000;

const [folder = '', seed = ''] = process.argv.slice(2);
const random = randomFrom(Number(seed));
const below = (limit: number) => Math.floor(random() * limit);
const pick = <Item>(items: readonly Item[]) => items[below(items.length)] as Item;
const pathOf = (name: string) => join(folder, name);

function take<Result>(step: Step, act: () => Result): Result {
  writeSync(1, `${JSON.stringify(step)}\n`);
  const result = act();
  writeSync(1, '"done"\n');
  return result;
}

function writeRun(fd: number, name: string, version: number): void {
  const first = below(pick(BLOCKS_MAX));
  const count = 1 + below(RUN_BLOCKS_MAX);
  const bytes = Buffer.concat(Array.from({ length: count }, (_, i) => makeBlock(version, first + i)));
  take({ do: 'write', name, first, count, version }, () => writeSync(fd, bytes, 0, bytes.length, first * BLOCK_BYTES));
}

function save(name: string, flags: number, version: number): void {
  const fd = take({ do: 'open', name, isEmptied: (flags & O_TRUNC) !== 0 }, () =>
    openSync(pathOf(name), O_WRONLY | O_CREAT | flags),
  );
  for (let runs = 1 + below(6); runs > 0; runs--) {
    writeRun(fd, name, version);
    if (random() < 0.3) take({ do: 'sync', name }, () => fsyncSync(fd));
  }
  take({ do: 'close', name }, () => closeSync(fd));
}

for (let version = 1; version < VERSIONS_MAX; version++) {
  const name = pick(NAMES);
  const way = pick(['over', 'anew', 'beside']);
  if (way !== 'beside') {
    save(name, way === 'anew' ? O_TRUNC : 0, version);
    continue;
  }
  const beside = `${name}.new`;
  save(beside, O_TRUNC, version);
  take({ do: 'rename', name: beside, to: name }, () => renameSync(pathOf(beside), pathOf(name)));
}
