import type { Call } from './linearizability.ts';
import type { Answer, Operation } from './operations.ts';

export interface Recorder {
  readonly name: string;
  readonly history: Call[];
  /** Orders what is asked and answered. */
  readonly tick: () => number;
}

/** Writes down what is asked, at once, and what is answered, when it is. */
export async function recorded(
  operation: Operation,
  { name, history, tick }: Recorder,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  const call = { name, operation, asked: tick(), answered: Infinity, answer: { is: 'unknown' } as Answer };
  history.push(call);
  call.answer = await ask();
  if (call.answer.is !== 'unknown') call.answered = tick();
  return call.answer;
}
