import { LeatError } from '#shared/model/faults.ts';
import { toText } from '#shared/model/names.ts';
import type { Actor, Mount, Namespace, NewMount } from '#shared/namespace/namespace.ts';

const HIDDEN = '(hidden)';

interface FirstMounts {
  /** Named on the command line. */
  readonly wanted: readonly NewMount[];
  /** Mounted when nothing is named and nothing was mounted before; unmounted once something is named. */
  readonly ifNone: readonly NewMount[];
}

/** Brings the mounts to what the command line says. Started again with the same words it changes nothing. */
export async function ensureMounts(namespace: Namespace, actor: Actor, { wanted, ifNone }: FirstMounts): Promise<void> {
  if (wanted.length > 0) await giveWay(namespace, actor, ifNone);
  const known = await namespace.mounts();
  const all = wanted.length > 0 || known.length > 0 ? wanted : ifNone;
  const made: Mount[] = [];
  try {
    // Those above first: a mount point must be empty.
    for (const mount of all.toSorted((a, b) => a.path.length - b.path.length)) {
      const there = known.find(({ path }) => path === mount.path);
      if (there) demandSame(there, mount);
      else made.push(await namespace.mount(actor, mount));
    }
  } catch (error) {
    // All or none: a second try with other words must not meet half of the first.
    for (const { path } of made.reverse()) await namespace.unmount(actor, path);
    throw error;
  }
}

/** What was shown only because there was nothing else goes when there is. */
async function giveWay(namespace: Namespace, actor: Actor, ifNone: readonly NewMount[]): Promise<void> {
  for (const { path, uri } of await namespace.mounts()) {
    if (ifNone.some((shown) => shown.path === path && shown.uri === uri)) await namespace.unmount(actor, path);
  }
}

function demandSame(there: Mount, wanted: NewMount): void {
  const differs = [
    there.uri === wanted.uri ? '' : `from ${there.uri}`,
    there.readOnly === wanted.readOnly ? '' : there.readOnly ? 'with --readonly' : 'without --readonly',
    there.syncIntervalMs === wanted.syncIntervalMs ? '' : `with --sync ${there.syncIntervalMs} (ms)`,
    ...differingOptions(there.options, wanted.options),
  ].filter((text) => text !== '');
  if (differs.length === 0) return;
  const path = toText(there.path);
  const next = `start without it and \`leat unmount ${path}\`, or give another --data`;
  throw new LeatError('busy', `${path} was mounted before ${differs.join(', ')}: ${next}`);
}

/** Values of secrets are not shown to us either, so a new one is not noticed. */
function differingOptions(there: Mount['options'], wanted: Mount['options']): string[] {
  const names = new Set([...Object.keys(there), ...Object.keys(wanted)]);
  return [...names]
    .filter((name) => there[name] !== wanted[name] && !(there[name] === HIDDEN && wanted[name] !== undefined))
    .map((name) => (there[name] === undefined ? `without ${name}` : `with ${name}=${there[name]}`));
}
