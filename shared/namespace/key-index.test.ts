import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { MountId, Origin, StoreKey } from '../model/inode.ts';
import { KeyIndex } from './key-index.ts';

const names = fc.array(fc.constantFrom('a', 'b', 'ab'), { maxLength: 3 });
const origins = fc
  .record({ mount: fc.constantFrom('m', 'n'), names })
  .map(({ mount, names: parts }): Origin => ({ mount: mount as MountId, key: parts.join('/') as StoreKey }));

const lies = (inner: Origin, outer: Origin) =>
  inner.mount === outer.mount && (outer.key === '' || inner.key === outer.key || inner.key.startsWith(`${outer.key}/`));

it('knows what lies at, above and below a key, as a scan of all would', () => {
  const steps = fc.array(fc.record({ origin: origins, isAdded: fc.boolean() }), { maxLength: 20 });
  fc.assert(
    fc.property(steps, origins, (changes, asked) => {
      const index = new KeyIndex();
      const model: Origin[] = [];
      for (const { origin, isAdded } of changes) {
        const there = model.findIndex((each) => each.mount === origin.mount && each.key === origin.key);
        if (isAdded) {
          index.add(origin);
          model.push(origin);
        } else if (there >= 0) {
          index.delete(origin);
          model.splice(there, 1);
        }
      }
      expect([index.hasAtOrBelow(asked), index.hasAtOrAbove(asked), index.hasRelated(asked)]).toEqual([
        model.some((each) => lies(each, asked)),
        model.some((each) => lies(asked, each)),
        model.some((each) => lies(each, asked) || lies(asked, each)),
      ]);
    }),
  );
});
