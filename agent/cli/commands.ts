import type { Command } from './command.ts';
import { cost } from './cost.ts';
import { down } from './down.ts';
import { events } from './events.ts';
import { fsCat } from './fs-cat.ts';
import { fsCp } from './fs-cp.ts';
import { fsFree } from './fs-free.ts';
import { fsLoad } from './fs-load.ts';
import { fsLs } from './fs-ls.ts';
import { fsMkdir } from './fs-mkdir.ts';
import { fsMv } from './fs-mv.ts';
import { fsRecover } from './fs-recover.ts';
import { fsRm } from './fs-rm.ts';
import { fsStat } from './fs-stat.ts';
import { info } from './info.ts';
import { mount } from './mount.ts';
import { mounts } from './mounts.ts';
import { quotaLs } from './quota-ls.ts';
import { quotaRm } from './quota-rm.ts';
import { quotaSet } from './quota-set.ts';
import { unmount } from './unmount.ts';
import { up } from './up.ts';
import { upgrade } from './upgrade.ts';

/** Every command, in the order in which `leat help` lists them. */
export const commands: readonly Command[] = [
  up,
  down,
  upgrade,
  info,
  mount,
  unmount,
  mounts,
  fsLs,
  fsStat,
  fsCat,
  fsCp,
  fsMkdir,
  fsMv,
  fsRm,
  fsLoad,
  fsFree,
  quotaSet,
  quotaLs,
  quotaRm,
  fsRecover,
  events,
  cost,
];
