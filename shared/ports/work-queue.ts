/** A message as it was delivered, this time. */
export interface Delivery {
  readonly body: string;
  /** Names this delivery; opaque. */
  readonly receipt: string;
  /** How often the message has been delivered, this time included: 1 at first. */
  readonly times: number;
}

export interface ReceiveOptions {
  /** At most so many, and never more than `DELIVERIES_MAX`. */
  readonly limit: number;
  /** How long to wait for the first; at most `WAIT_MS_MAX`. */
  readonly waitMs: number;
  /** How long the messages are kept from others, who get them afterwards unless they have been `done`. Whole seconds. */
  readonly holdMs: number;
  readonly signal?: AbortSignal;
}

export const DELIVERIES_MAX = 10;
export const WAIT_MS_MAX = 20_000;
/** Of UTF-8, of one message. */
export const MESSAGE_BYTES_MAX = 256 * 1024;

/**
 * Messages for whoever comes first. At least once: one that is not `done` when its hold ends is delivered again, and one that is
 * may be, so a receiver has to bear both. In no certain order. A message is kept for four days. An engine that cannot answer
 * throws `unavailable`; a queue that is gone, `notFound`.
 */
export interface WorkQueue {
  /** At once or later, within 15 minutes. Any number, of well-formed text without control characters other than tab and newline. What fails may be sent in part. */
  send(bodies: readonly string[], options?: { readonly delayMs?: number }): Promise<void>;
  /** None when nothing came in time, or the signal was aborted. */
  receive(options: ReceiveOptions): Promise<readonly Delivery[]>;
  /** They do not come again. Of a delivery whose hold is over that is not certain. */
  done(deliveries: readonly Delivery[]): Promise<void>;
  /** A heartbeat: from now on they are held so long; 0 gives them back. One whose hold is over is left alone. */
  hold(deliveries: readonly Delivery[], holdMs: number): Promise<void>;
}

/** Keeps a delivery from others while it is worked at, however long that takes. */
export async function held<Result>(
  queue: WorkQueue,
  delivery: Delivery,
  { holdMs, work }: { readonly holdMs: number; readonly work: () => Promise<Result> },
): Promise<Result> {
  // A heartbeat that fails is made up for by the next; three fit into a hold.
  const heart = setInterval(() => void queue.hold([delivery], holdMs).catch(() => undefined), holdMs / 3);
  try {
    return await work();
  } finally {
    clearInterval(heart);
  }
}
