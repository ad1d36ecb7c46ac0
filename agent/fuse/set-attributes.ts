import { withoutSetId } from '#shared/model/mode-bits.ts';
import { attributesAt, type HotAttributes } from '#shared/model/row-codec.ts';
import { rowIn } from './metadata.ts';
import type { Node } from './nodes.ts';
import { SetAttr } from './protocol.ts';
import type { Answer, WirePatch } from './questions.ts';
import { errno, must, type Request, u32, u64 } from './requests.ts';
import type { Session } from './session.ts';
import { keepStored, type Writing } from './writing.ts';

const NANOS = 1_000_000_000n;

/** chmod, chown, utimens and truncate, also several of them at once. */
export function setAttributes(session: Session, writing: Writing, request: Request): void {
  const node = session.node(request);
  const valid = u32(request, 40);
  const patch = { ...patchOf(request, valid), ...lostBy(session, node, valid) };
  if (!(valid & SetAttr.SIZE)) return change(session, request, { node, patch });
  const size = u64(request, 56);
  const live = session.live.get(node);
  if (live && !live.isSettled) {
    return writing.truncate(request, live, { size, done: () => change(session, request, { node, patch }) });
  }
  writing.begin(request, { node, isTruncated: size === 0 }, (begun) => {
    const end = () => writing.end(node);
    const flushed = (answer: Answer) => {
      keepStored(begun, answer);
      change(session, request, { node, patch });
      end();
    };
    const refused = (code: number) => {
      end();
      session.error(request.unique, code);
    };
    // As one who opens it, cuts it and closes it.
    const done = () => session.ask(request, { ask: 'flush', id: node.inodeId }, flushed, refused);
    writing.truncate(request, begun, { size, done });
  });
}

/** A program that is cut by who is neither its owner nor root. */
function lostBy(session: Session, node: Node, valid: number): WirePatch {
  const mode = valid & SetAttr.KILL_SUIDGID ? session.attributesOf(node)?.mode : undefined;
  return mode === undefined || withoutSetId(mode) === mode ? {} : { mode: withoutSetId(mode) };
}

function patchOf(request: Request, valid: number): WirePatch {
  const time = (seconds: number, nanos: number) =>
    request.bytes.readBigInt64LE(seconds) * NANOS + BigInt(u32(request, nanos));
  return {
    ...(valid & SetAttr.MODE && { mode: u32(request, 108) & 0o7777 }),
    ...(valid & SetAttr.UID && { uid: u32(request, 116) }),
    ...(valid & SetAttr.GID && { gid: u32(request, 120) }),
    ...(valid & SetAttr.ATIME && { atime: valid & SetAttr.ATIME_NOW ? 'now' : time(72, 96) }),
    ...(valid & SetAttr.MTIME && { mtime: valid & SetAttr.MTIME_NOW ? 'now' : time(80, 100) }),
  };
}

function change(session: Session, request: Request, { node, patch }: { node: Node; patch: WirePatch }): void {
  const reply = (attributes: HotAttributes) => session.sendAttributes(request.unique, node, attributes);
  const known = session.attributesOf(node);
  if (Object.keys(patch).length === 0 && known) return reply(known);
  const question = { ask: 'setAttributes', path: session.pathOf(node), id: node.inodeId, patch } as const;
  session.ask(
    request,
    question,
    (answer) => {
      const attributes = must(attributesAt(rowIn(answer)));
      if (patch.mtime !== undefined) session.changes.timesSet(node.inodeId);
      if (node.attributes) node.attributes = attributes;
      reply(attributes);
    },
    (code) => {
      // It has no name any more, only those who have it open.
      const isGone = code === errno.ENOENT || code === errno.ESTALE;
      const last = isGone ? node.attributes : undefined;
      // Somebody may have moved it: on ESTALE the kernel looks the path up again.
      if (!last) return session.error(request.unique, isGone ? errno.ESTALE : code);
      node.attributes = patched(last, patch);
      const now = session.attributesOf(node) ?? node.attributes;
      reply(code === errno.ENOENT ? { ...now, links: 0 } : now);
    },
  );
}

function patched(attributes: HotAttributes, { mode, uid, gid }: WirePatch): HotAttributes {
  return {
    ...attributes,
    ...(mode !== undefined && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  };
}
