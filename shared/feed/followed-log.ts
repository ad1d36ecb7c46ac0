import type { Cursor, FeedStep, FollowedFeed } from '../ports/change-feed.ts';
import type { ChangeLog } from './log.ts';

/** How long a change that has been logged may wait for a follower. */
const POLL_MS = 500;

export interface FollowedLogDeps {
  readonly log: Pick<ChangeLog, 'read' | 'last'>;
  readonly sleep: (ms: number) => Promise<unknown>;
}

export interface FollowedLog extends FollowedFeed {
  /** Ends all followers. */
  close(): void;
}

/** The log for followers that have no inbox. Its cursors are its numbers, so they outlive whoever reads. */
export function followedLog({ log, sleep }: FollowedLogDeps): FollowedLog {
  const closed = new AbortController();
  return {
    async *follow({ after, signal }): AsyncGenerator<FeedStep> {
      const isOver = () => signal.aborted || closed.signal.aborted;
      let at = after === undefined ? await log.last() : numberOf(after);
      for (let isReady = false; !isOver();) {
        const { records, isGap } = at === undefined ? { records: [], isGap: true } : await log.read(at);
        for (const { sequence, changes } of records) {
          if (isOver()) return;
          at = sequence;
          yield { what: 'changes', cursor: String(at), changes };
        }
        if (isGap) {
          at = await log.last();
          yield { what: 'gap', cursor: String(at) };
        } else if (records.length === 0) {
          if (!isReady) yield { what: 'ready', cursor: String(at) };
          isReady = true;
          await sleep(POLL_MS);
        }
      }
    },
    close: () => closed.abort(),
  };
}

/** For a server that cannot keep an answer open: it ends where it is ready, and the follower comes again with its cursor. */
export function untilReady(feed: FollowedFeed): FollowedFeed {
  return {
    async *follow(options): AsyncGenerator<FeedStep> {
      for await (const step of feed.follow(options)) {
        yield step;
        if (step.what === 'ready') return;
      }
    },
  };
}

function numberOf(cursor: Cursor): number | undefined {
  return /^\d{1,15}$/.test(cursor) ? Number(cursor) : undefined;
}
