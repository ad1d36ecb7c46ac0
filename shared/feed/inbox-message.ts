import { LeatError } from '../model/faults.ts';
import { changesFromText, changesToText } from './changes.ts';
import type { LogRecord } from './log.ts';

/** What an agent finds in its inbox: a record of the log. The number stands in front, as in `17 [{…`. */
export function toMessage({ sequence, changes }: LogRecord): string {
  return `${sequence} ${changesToText(changes)}`;
}

export function fromMessage(text: string): LogRecord {
  const [, sequence, changes] = /^(\d{1,15}) (\[.*\])$/s.exec(text) ?? [];
  if (sequence === undefined || changes === undefined) {
    throw new LeatError('corrupt', `'${text.slice(0, 64)}' is no record of the log of changes`);
  }
  return { sequence: Number(sequence), changes: changesFromText(changes) };
}
