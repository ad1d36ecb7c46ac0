import { constants } from 'node:os';
import { LeatError, toLeatError } from '#shared/model/faults.ts';
import { Refusal } from '../fuse/requests.ts';
import type { Binding, Native } from './binding.ts';

/** A count for what reads, writes, or measures; else 0. Then what fuse-native takes with it. */
type Answer = readonly [result: number, ...values: unknown[]];

interface Operation<Args extends readonly unknown[]> {
  /** Answers what libfuse is told when it went well. */
  readonly act: (...args: Args) => Promise<Answer>;
  /** What goes with a refusal. */
  readonly blank?: (...args: Args) => readonly unknown[];
}

export interface Answering {
  readonly log: (message: string) => void;
  /** Nobody is there to answer any more. */
  readonly isOver: () => boolean;
}

/**
 * The one place where a promise becomes what libfuse understands: a number below 0 is an errno. Whatever happens libfuse is
 * signalled, once: a thread of it that is not would hang, and its caller with it, beyond the reach of signals.
 */
export function answering(binding: Binding, { log, isOver }: Answering) {
  return <Args extends readonly unknown[]>(name: string, { act, blank }: Operation<Args>) => {
    const signal = binding[`fuse_native_signal_${name}`];
    if (!signal) throw new Error(`fuse-native has no operation ${name}`);
    const answer = async (native: Native, args: Args) => {
      try {
        if (isOver()) throw new LeatError('unavailable', 'the mount is going away');
        const [result, ...values] = await act(...args);
        signal(native, result, ...values);
      } catch (error) {
        signal(native, -errnoOf(error, log), ...(blank?.(...args) ?? []));
      }
    };
    return (native: Native, _operation: number, ...args: Args): void => void answer(native, args);
  };
}

function errnoOf(error: unknown, log: Answering['log']): number {
  if (error instanceof Refusal) return error.errno;
  if (!(error instanceof LeatError))
    log(`request failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  const { fault } = toLeatError(error);
  return constants.errno[fault.errno as keyof typeof constants.errno];
}
