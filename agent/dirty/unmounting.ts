import { LeatError } from '#shared/model/faults.ts';
import { toText } from '#shared/model/names.ts';
import type { Namespace } from '#shared/namespace/namespace.ts';
import type { DirtyFiles } from './dirty-files.ts';

/** A store is not unmounted while files that were written here are on their way to it: they would go with their rows. */
export function keepingWritten(namespace: Namespace, dirty: DirtyFiles): Namespace {
  return {
    ...namespace,
    async unmount(actor, path) {
      const { path: at } = await namespace.stat(actor, path, { follow: true });
      const files = await dirty.report();
      const waiting = files.find((file) => file.path?.startsWith(at === '/' ? '/' : `${at}/`));
      if (waiting?.path) {
        const next = 'close it, or see `leat fs recover`, and try again';
        throw new LeatError(
          'busy',
          `${toText(path)}: ${toText(waiting.path)} was written and is not stored yet; ${next}`,
        );
      }
      return namespace.unmount(actor, path);
    },
  };
}
