import { isFault } from '#shared/model/faults.ts';

/** From the first commit that is not on disk to the begin of its sync: half of what a power failure may cost. */
const SYNC_DELAY_MS = 50;
/** A change writes a page or two, which cannot be used again before a sync: a burst is synced sooner, so that the file stays small. */
const CHANGES_BEFORE_SYNC = 1000;
const CHANGES_UNSYNCED_MAX = 4000;

/** Syncs a while after each change, one at a time; whoever waits for a sync gets one that began after their change. */
export class SyncBehind {
  readonly #sync: () => Promise<void>;
  /** Since the begin of the last sync. */
  #changes = 0;
  #isDirty = false;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: unknown;

  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  /** Throws what a sync has failed with: the kernel takes pages that it could not write for written, so no later one is to be trusted. */
  demandWorking(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  changed(count: number): void {
    this.#changes += count;
    this.#isDirty = true;
    const begin = () => void this.synced().catch(() => undefined);
    if (this.#changes >= CHANGES_BEFORE_SYNC) begin();
    else this.#timer ??= setTimeout(begin, SYNC_DELAY_MS).unref();
  }

  /** When no more should be changed for now: resolves when the disk has caught up. */
  get pressure(): Promise<unknown> | undefined {
    return this.#changes < CHANGES_UNSYNCED_MAX ? undefined : this.#running?.catch(() => undefined);
  }

  async synced(): Promise<void> {
    this.demandWorking();
    if (!this.#isDirty) return this.#running;
    this.#next ??= this.#afterRunning();
    return this.#next;
  }

  async #afterRunning(): Promise<void> {
    await this.#running?.catch(() => undefined);
    this.demandWorking();
    this.#next = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isDirty = false;
    this.#changes = 0;
    this.#running = this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      await this.#sync();
    } catch (error) {
      if (!isFault(error)) this.#failure = error;
      else this.changed(0);
      throw error;
    } finally {
      this.#running = undefined;
    }
  }
}
