import type { Cursor, FeedStep, FollowedFeed } from '../ports/change-feed.ts';
import type { ChangeLog } from './log.ts';

/** How long a change that has been logged may wait for a follower. */
const POLL_MS = 500;

export interface FollowedLogDeps {
  readonly log: ChangeLog;
  readonly sleep: (ms: number) => Promise<void>;
}

/** The log for followers that have no inbox. Its cursors are its numbers, so they outlive whoever reads. */
export function followedLog({ log, sleep }: FollowedLogDeps): FollowedFeed {
  return {
    async *follow({ after, signal }): AsyncGenerator<FeedStep> {
      let at = after === undefined ? await log.last() : numberOf(after);
      let isReady = false;
      while (!signal.aborted) {
        const { records, isGap } = at === undefined ? { records: [], isGap: true } : await log.read(at);
        for (const { sequence, changes } of records) {
          if (signal.aborted) return;
          at = sequence;
          yield { what: 'changes', cursor: String(at), changes };
        }
        if (isGap || at === undefined) {
          at = await log.last();
          yield { what: 'gap', cursor: String(at) };
        }
        if (records.length > 0) continue;
        if (!isReady) yield { what: 'ready', cursor: String(at) };
        isReady = true;
        await sleep(POLL_MS);
      }
    },
  };
}

function numberOf(cursor: Cursor): number | undefined {
  return /^\d{1,15}$/.test(cursor) ? Number(cursor) : undefined;
}
