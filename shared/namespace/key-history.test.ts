import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { MountId, Origin, StoreKey } from '../model/inode.ts';
import { KeyHistory } from './key-history.ts';

const names = fc.array(fc.constantFrom('a', 'b', 'ab'), { maxLength: 3 });
const origins = fc
  .record({ mount: fc.constantFrom('m', 'n'), names })
  .map(({ mount, names: parts }): Origin => ({ mount: mount as MountId, key: parts.join('/') as StoreKey }));

const lies = (inner: Origin, outer: Origin) =>
  inner.mount === outer.mount && (outer.key === '' || inner.key === outer.key || inner.key.startsWith(`${outer.key}/`));

it('knows what was done at, above and below a key since a count, as a scan of all would', () => {
  fc.assert(
    fc.property(fc.array(origins, { maxLength: 15 }), origins, fc.nat(15), fc.nat(15), (done, asked, since, until) => {
      const history = new KeyHistory();
      for (const [i, origin] of done.entries()) history.add(origin, i + 1);
      // Whoever asks began after what is forgotten.
      history.forget(Math.min(since, until));
      const later = done.slice(since);
      expect([history.hasAtOrBelow(asked, since), history.hasAtOrAbove(asked, since)]).toEqual([
        later.some((each) => lies(each, asked)),
        later.some((each) => lies(asked, each)),
      ]);
      history.forget(done.length);
      expect(history.size).toBe(0);
    }),
  );
});
