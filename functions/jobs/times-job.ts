import type { InodeId } from '#shared/model/ids.ts';
import type { DueTime } from '../feed/folded-times.ts';

/** Ids are bytes, which a message cannot carry as they are. */
export type WrittenTime = readonly [directory: string, at: number];

/** A message for the queue of jobs: the times of these directories are to be written. */
export function timesJob(due: readonly DueTime[]): string {
  return JSON.stringify({ job: 'times', due: due.map(([id, at]): WrittenTime => [btoa(id), at]) });
}

export const dueTime = ([id, at]: WrittenTime): DueTime => [atob(id) as InodeId, at];
