import type { InodeId } from '#shared/model/ids.ts';
import type { HotAttributes } from '#shared/model/row-codec.ts';

/** As many as are remembered at a time; what goes is by then long in its rows. */
const DIRECTORIES_MAX = 10_000;

interface Moment {
  readonly seconds: number;
  readonly nanos: number;
}

/**
 * Directories in which something came or went by way of this mount. Their rows get the time of it up to a second later, as one of
 * many; here it shows at once, until the row has caught up.
 */
export class ChangedDirectories {
  readonly #times = new Map<InodeId, Moment>();

  changed(id: InodeId): void {
    // The clock of the rows.
    const now = performance.timeOrigin + performance.now();
    this.#times.delete(id);
    this.#times.set(id, { seconds: Math.floor(now / 1000), nanos: Math.floor((now % 1000) * 1e6) });
    const [oldest] = this.#times.size > DIRECTORIES_MAX ? this.#times.keys() : [];
    if (oldest !== undefined) this.#times.delete(oldest);
  }

  /** Its times have been set by hand: what happened before counts no more. */
  timesSet(id: InodeId): void {
    this.#times.delete(id);
  }

  shown(id: InodeId, attributes: HotAttributes): HotAttributes {
    const at = this.#times.size === 0 ? undefined : this.#times.get(id);
    if (!at) return attributes;
    const { mtimeSeconds, mtimeNanos, ctimeSeconds, ctimeNanos } = attributes;
    const isShown = !isBefore({ seconds: mtimeSeconds, nanos: mtimeNanos }, at);
    if (isShown) {
      this.#times.delete(id);
      return attributes;
    }
    const isLater = isBefore({ seconds: ctimeSeconds, nanos: ctimeNanos }, at);
    return {
      ...attributes,
      mtimeSeconds: at.seconds,
      mtimeNanos: at.nanos,
      ...(isLater && { ctimeSeconds: at.seconds, ctimeNanos: at.nanos }),
    };
  }
}

function isBefore(one: Moment, other: Moment): boolean {
  return one.seconds < other.seconds || (one.seconds === other.seconds && one.nanos < other.nanos);
}
