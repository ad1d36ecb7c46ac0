import { fstatSync } from 'node:fs';
import type { BytesRange } from '../dirty/base-blocks.ts';
import { STAT_BLOCK_BYTES } from '../dirty/local-calls.ts';
import { asStored, type LiveFile } from './live-files.ts';
import type { Answer, Question } from './questions.ts';
import type { Request } from './requests.ts';
import type { Session } from './session.ts';

/**
 * Runs a change of content once the blocks that it changes in part are here. Blocks that it covers come to be here by it. `act` gets
 * the request's bytes, which are those of another by the time of an answer.
 */
export function changing(
  session: Session,
  request: Request,
  { live, range }: { readonly live: LiveFile; readonly range: BytesRange },
  act: (bytes: Buffer) => void,
): void {
  const { base } = live;
  const ranges = base?.missingAtEnds(range) ?? [];
  const done = (bytes: Buffer) => (base ? base.change(range, () => act(bytes)) : act(bytes));
  if (ranges.length === 0 && !live.waiting) return done(request.bytes);
  const kept = Buffer.from(request.bytes.subarray(0, request.length));
  if (live.waiting) {
    const again = () => changing(session, { ...request, bytes: kept }, { live, range }, act);
    return void live.waiting.push(() => session.guarded(request.unique, again));
  }
  const refused = (code: number) => session.error(request.unique, code);
  const question = { ask: 'fill', id: live.node.inodeId, ranges } as const;
  whileOthersWait(session, request, { live, question }, { answered: () => done(kept), refused });
}

/**
 * A file that takes more here than others may still take, and that its store has, is given up here though it stays open: it is
 * written upon its object from now on.
 */
export function givingUpStored(session: Session, request: Request, live: LiveFile, then: () => void): void {
  if (live.waiting || !asStored(live)) return then();
  if (fstatSync(live.fd).blocks * STAT_BLOCK_BYTES <= session.counters.room) return then();
  const answered = (answer: Answer) => {
    if ('rebased' in answer && answer.rebased) session.live.rebased(live, answer.rebased);
    then();
  };
  const question = { ask: 'rebase', id: live.node.inodeId } as const;
  whileOthersWait(session, request, { live, question }, { answered, refused: then });
}

/** Nobody changes the file before the answer; who wanted to, does so then. */
function whileOthersWait(
  session: Session,
  request: Request,
  { live, question }: { readonly live: LiveFile; readonly question: Question },
  { answered, refused }: { answered(answer: Answer): void; refused(code: number): void },
): void {
  live.waiting = [];
  const goOn = () => {
    const waiting = live.waiting ?? [];
    live.waiting = undefined;
    for (const each of waiting) each();
  };
  session.ask(
    request,
    question,
    (answer) => {
      session.guarded(request.unique, () => answered(answer));
      goOn();
    },
    (code) => {
      refused(code);
      goOn();
    },
  );
}
