import type { WrittenFileInfo } from '#functions/api/deps.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import { DirtyFile } from './dirty-file.ts';
import type { UnderWay } from './journal.ts';

interface ReportDeps {
  readonly dir: string;
  readonly namespace: Pick<Namespace, 'find'>;
}

/** The files that are under way, and those that a process before has left without an entry. */
export async function reportOf(
  { dir, namespace }: ReportDeps,
  files: readonly DirtyFile[],
  journaled: readonly UnderWay[],
): Promise<WrittenFileInfo[]> {
  const reports = await Promise.all(
    files.map(async (file): Promise<WrittenFileInfo> => {
      const found = file.rowOf && (await namespace.find(file.rowOf).catch(() => undefined));
      const { trouble: reason } = file;
      const state = file.writers > 0 ? 'open' : 'waiting';
      const facts = { bytes: file.stat()?.size ?? 0, state, local: file.path } as const;
      return { ...facts, ...(found && { path: found.path }), ...(reason !== undefined && { reason }) };
    }),
  );
  const known = new Set(files.map(({ id }) => id));
  const lost = journaled.filter(({ id }) => !known.has(id));
  return [...reports, ...lost.map((at) => lostReport(dir, at))];
}

function lostReport(dir: string, at: UnderWay): WrittenFileInfo {
  const file = new DirtyFile(dir, at, { id: at.id, size: 0, mtime: 0n, generation: 0 });
  return { bytes: file.stat()?.size ?? 0, state: 'lost', local: file.path };
}
