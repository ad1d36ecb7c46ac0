import type { Config } from '#shared/config/config.ts';

interface Profile {
  /** Nothing is changed through the mount, and the kernel opens and closes files without a word to us. */
  readonly isReadOnly: boolean;
  /** For as long as the lease the kernel believes what it was told, and this node what it has read of a cloud's rows. */
  readonly believes: boolean;
}

/**
 * What a mount promises, in one word; `docs/mount.md` says what comes of it. What all profiles have alike:
 * - Reads ahead of 1 MiB. Against the kernel's 128 KiB it halves our CPU per byte that goes by way of us; 4 MiB saves nothing more.
 * - Passthrough, except where nothing is opened: a node of the kernel is one content, so that no change by others makes its
 *   pages or its file wrong, and `strict` need not do without.
 * - No writeback cache: the kernel gives up passthrough for it, and trusts its own sizes and times instead of those of the rows,
 *   so that a mount would not see what other nodes write.
 */
export const PROFILES: Readonly<Record<Config['fuse.profile'], Profile>> = {
  training: { isReadOnly: true, believes: true },
  general: { isReadOnly: false, believes: true },
  strict: { isReadOnly: false, believes: false },
};
