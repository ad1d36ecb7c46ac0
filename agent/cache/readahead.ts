import { PAGE_BYTES } from './page-map.ts';

/** How one open file is being read: where the next byte of a sequential reader lies, and how far to fetch beyond it. */
export interface Stream {
  readonly position: number;
  readonly windowBytes: number;
}

/** Nothing read yet: whatever comes first is taken for a lone read, so that looking at a header fetches one page. */
export const UNREAD: Stream = { position: Number.NEGATIVE_INFINITY, windowBytes: 0 };

/** The kernel's own readahead sends a few reads at once, and they may arrive out of order. */
const REORDER_BYTES = 2 * PAGE_BYTES;

/**
 * The window opens with the second read in a row, doubles with every page that the reader passes, and shuts at the first
 * jump: a random reader never fetches more than the pages it touches.
 */
export function advance(stream: Stream, read: { offset: number; length: number }, windowBytesMax: number): Stream {
  const end = read.offset + read.length;
  if (Math.abs(read.offset - stream.position) > REORDER_BYTES) return { position: end, windowBytes: 0 };
  if (end <= stream.position) return stream;
  const passed = Math.floor(end / PAGE_BYTES) > Math.floor(stream.position / PAGE_BYTES);
  const wider = stream.windowBytes === 0 ? PAGE_BYTES : stream.windowBytes * (passed ? 2 : 1);
  return { position: end, windowBytes: Math.min(wider, windowBytesMax) };
}

export interface PageRange {
  readonly first: number;
  readonly end: number;
}

/** Requests of this size reach a store's full speed, and a cancelled one wastes little. */
export const FETCH_PAGES_MAX = 8;
/** Of one content at a time, on behalf of streams; what readers wait for is not held back. */
export const PARALLEL_FETCHES = 8;

export interface Demand {
  /** What the reader waits for. */
  readonly needed: PageRange;
  /** How far it may be fetched ahead; `needed.end` or more. */
  readonly aheadEnd: number;
  /** Of the whole content. */
  readonly pages: number;
}

/**
 * The requests to make now, first things first. Pages ahead are only asked for when enough of them are missing to make a
 * request worth its round trip: a reader that moves on page by page would otherwise send a request for each.
 */
export function planFetches(demand: Demand, missing: (page: number) => boolean): PageRange[] {
  const { needed, aheadEnd } = demand;
  const plan = runs(needed, missing);
  const ahead = runs({ first: needed.end, end: aheadEnd }, missing);
  const first = ahead[0];
  if (!first) return plan;
  const last = plan.at(-1);
  const joined = last?.end === first.first && last.end - last.first < FETCH_PAGES_MAX;
  const worthwhile = Math.min(FETCH_PAGES_MAX, Math.ceil((aheadEnd - needed.end) / 2));
  if (!joined && aheadEnd < demand.pages && aheadEnd - first.first < worthwhile) return plan;
  if (!joined) return [...plan, ...ahead];
  const all = runs({ first: last.first, end: aheadEnd }, missing);
  return [...plan.slice(0, -1), ...all];
}

function runs(range: PageRange, missing: (page: number) => boolean): PageRange[] {
  const found: PageRange[] = [];
  for (let page = range.first; page < range.end; page++) {
    if (!missing(page)) continue;
    const first = page;
    while (page + 1 < range.end && page + 1 - first < FETCH_PAGES_MAX && missing(page + 1)) page++;
    found.push({ first, end: page + 1 });
  }
  return found;
}
