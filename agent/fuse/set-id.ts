import { withoutSetId } from '#shared/model/mode-bits.ts';
import { attributesAt } from '#shared/model/row-codec.ts';
import { rowIn } from './metadata.ts';
import type { Node } from './nodes.ts';
import type { Answer } from './questions.ts';
import { errno, isWriting, must, type Request, u32 } from './requests.ts';
import type { Session } from './session.ts';

const SUPERUSER = 0;
const OPEN_KILL_SUIDGID = 1;
const WRITE_KILL_SUIDGID = 4;

type Act = (request: Request) => void;

/**
 * Who writes a program of another takes its set-id bits away. We have told the kernel that this is ours to see to, for otherwise
 * it asks for capabilities (`security.capability`) before each single write.
 */
export const writing =
  (session: Session, act: Act): Act =>
  (request) =>
    u32(request, 60) & WRITE_KILL_SUIDGID ? losing(session, request, act) : act(request);

/** Writes that the kernel carries out by itself are not told, so those bits go when the file is opened for them. */
export const opening =
  (session: Session, act: Act): Act =>
  (request) => {
    const isTold = (u32(request, 44) & OPEN_KILL_SUIDGID) !== 0;
    const mayPass = isWriting(u32(request, 40)) && session.node(request).syncIntervalMs === undefined;
    if (isTold || (mayPass && request.caller.uid !== SUPERUSER)) losing(session, request, act);
    else act(request);
  };

/** The kernel does not tell who may keep them. */
export const allocating =
  (session: Session, act: Act): Act =>
  (request) =>
    request.caller.uid === SUPERUSER ? act(request) : losing(session, request, act);

function losing(session: Session, request: Request, act: Act): void {
  const node = session.node(request);
  const mode = session.attributesOf(node)?.mode ?? 0;
  const patch = { mode: withoutSetId(mode) };
  if (patch.mode === mode) return act(request);
  // By the time of the answer the request's bytes are those of another.
  const kept = { ...request, bytes: Buffer.from(request.bytes.subarray(0, request.length)) };
  const question = { ask: 'setAttributes', path: session.pathOf(node), id: node.inodeId, patch } as const;
  const lost = (answer: Answer) => {
    keep(session, node, rowIn(answer));
    act(kept);
  };
  // Without a name nobody runs it.
  const refused = (code: number) =>
    code === errno.ENOENT || code === errno.ESTALE ? act(kept) : session.error(request.unique, code);
  session.ask(request, question, lost, refused);
}

function keep(session: Session, node: Node, row: Uint8Array): void {
  if (node.attributes) node.attributes = must(attributesAt(row));
  session.post({ notices: [{ attributes: node.id }] });
}
