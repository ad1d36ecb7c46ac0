import type { ChangeFeed, CommitEvent } from '#shared/ports/change-feed.ts';

/** The feed of one process: a metastore driver publishes, everybody else subscribes. */
export interface LocalFeed extends ChangeFeed {
  publish(event: CommitEvent): void;
}

export function localFeed(): LocalFeed {
  const listeners = new Set<(event: CommitEvent) => void>();
  return {
    publish(event) {
      for (const listener of listeners) listener(event);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
