import type { ChangeFeed, Cursor, FeedStep, FollowedFeed, RowChange } from '#shared/ports/change-feed.ts';
import { isOfFiles } from '#shared/feed/changes.ts';

/** Some megabytes at most: two rows each. */
const CHANGES_MAX = 4096;

export interface EventRing extends FollowedFeed {
  /** Ends all followers. */
  close(): void;
}

interface Commit {
  readonly number: number;
  readonly changes: readonly RowChange[];
}

/**
 * The last changes of files in this process, for followers. Cursors are `epoch-number`, the epoch being the life of this
 * process: one that another has given is a gap.
 */
export function eventRing(feed: ChangeFeed, { changesMax = CHANGES_MAX } = {}): EventRing {
  const epoch = crypto.randomUUID().slice(0, 8);
  const commits: Commit[] = [];
  const waiting = new Set<() => void>();
  const closed = new AbortController();
  let last = 0;
  let kept = 0;

  const unsubscribe = feed.subscribe(({ changes }) => {
    const ofFiles = changes.filter(isOfFiles);
    if (ofFiles.length === 0) return;
    commits.push({ number: ++last, changes: ofFiles });
    kept += ofFiles.length;
    while (kept > changesMax) kept -= commits.shift()?.changes.length ?? 0;
    wake();
  });
  const wake = () => {
    for (const resolve of waiting) resolve();
    waiting.clear();
  };
  closed.signal.addEventListener('abort', wake);

  const cursorOf = (number: number): Cursor => `${epoch}-${number}`;
  const numberOf = (cursor: Cursor): number => {
    const [, ofEpoch, digits] = /^(\w+)-(\d{1,15})$/.exec(cursor) ?? [];
    return ofEpoch === epoch ? Number(digits) : Number.NaN;
  };
  const firstKept = () => commits[0]?.number ?? last + 1;

  return {
    async *follow({ after, signal }): AsyncGenerator<FeedStep> {
      const isOver = () => signal.aborted || closed.signal.aborted;
      signal.addEventListener('abort', wake);
      try {
        let at = after === undefined ? last : numberOf(after);
        for (let isReady = false; !isOver();) {
          const isKnown = at >= firstKept() - 1 && at <= last;
          const next = commits[at - firstKept() + 1];
          if (!isKnown) {
            at = last;
            yield { what: 'gap', cursor: cursorOf(at) };
          } else if (next) {
            at = next.number;
            yield { what: 'changes', cursor: cursorOf(at), changes: next.changes };
          } else if (!isReady) {
            isReady = true;
            yield { what: 'ready', cursor: cursorOf(at) };
          } else await new Promise<void>((resolve) => waiting.add(resolve));
        }
      } finally {
        signal.removeEventListener('abort', wake);
      }
    },
    close() {
      unsubscribe();
      closed.abort();
    },
  };
}
