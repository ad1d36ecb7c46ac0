import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  cpuPerGiB,
  cpuPerOperation,
  dropKernelCaches,
  type Measured,
  measure,
  mebibytesPerSecond,
  operationsPerSecond,
} from './measure.ts';
import type { Scenario, Stage } from './scenarios.ts';
import { type Phase, PHASES, type WriteLoad } from './write-load.ts';

const MIB = 1 << 20;
const PROCESSES = 4;
const CREATES = 10_000;
const CREATED_BYTES = 4096;
const CREATED = 'written';

/** The same in a new folder of the mount, in a directory that no store is mounted at, and in a native one. */
async function inNewFolders(
  { daemon, data }: Stage,
  run: (folder: string, pid?: number) => Promise<Measured>,
): Promise<readonly [ours: Measured, native: Measured]> {
  const measured = [];
  for (const [parent, pid] of [[daemon.at, daemon.pid], [join(data, '..')]] as const) {
    const folder = join(parent, CREATED);
    mkdirSync(folder);
    // Else the one pays for what the other has not yet written to the disk.
    dropKernelCaches();
    measured.push(await run(folder, pid));
    rmSync(folder, { recursive: true });
  }
  return measured as [Measured, Measured];
}

const sequential = (isSynced: boolean): Scenario => ({
  name: `sequential 1 MiB writes, ${isSynced ? 'fsync at the end' : 'no fsync'}`,
  unit: 'MiB/s',
  async round(stage) {
    const bytes = stage.fixtures.bigBytes;
    const [ours, native] = await inNewFolders(stage, (folder, pid) => {
      const load: WriteLoad = { kind: 'write', file: join(folder, 'big.bin'), blockBytes: MIB, bytes, isSynced };
      return measure(load, 1, pid);
    });
    return { ours: mebibytesPerSecond(ours), baseline: mebibytesPerSecond(native), side: cpuPerGiB(ours) };
  },
});

const creates = (processes: number, isSynced: boolean): Scenario => ({
  name: `creates of 4 KiB, ${processes === 1 ? '1 process' : `${processes} processes`}, ${isSynced ? 'fsync each' : 'no fsync'}`,
  unit: 'files/s',
  async round(stage) {
    const [ours, native] = await inNewFolders(stage, (directory, pid) =>
      measure({ kind: 'create', directory, count: CREATES, bytes: CREATED_BYTES, isSynced }, processes, pid),
    );
    return { ours: operationsPerSecond(ours), baseline: operationsPerSecond(native), side: cpuPerOperation(ours) };
  },
});

/** What a phase works on is made by those before it, and what it leaves goes with the folder. */
const metadataPhase = (phase: Phase, before: readonly Phase[]): Scenario => ({
  name: `mdtest: ${phase}, ${PROCESSES} processes`,
  unit: 'operations/s',
  async round(stage) {
    const [ours, native] = await inNewFolders(stage, async (directory, pid) => {
      for (const one of before) await measure({ kind: 'metadata', directory, count: CREATES, phase: one }, PROCESSES);
      return measure({ kind: 'metadata', directory, count: CREATES, phase }, PROCESSES, pid);
    });
    return { ours: operationsPerSecond(ours), baseline: operationsPerSecond(native), side: cpuPerOperation(ours) };
  },
});

const PREPARED: Readonly<Record<Phase, readonly Phase[]>> = {
  'create files': [],
  'stat files': ['create files'],
  'remove files': ['create files'],
  'make directories': [],
  'stat directories': ['make directories'],
  'remove directories': ['make directories'],
};

export const WRITE_SCENARIOS: readonly Scenario[] = [
  sequential(false),
  sequential(true),
  creates(1, false),
  creates(PROCESSES, false),
  creates(1, true),
  creates(PROCESSES, true),
  ...(Object.keys(PHASES) as Phase[]).map((phase) => metadataPhase(phase, PREPARED[phase])),
];
