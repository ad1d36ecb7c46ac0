import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { LeatError } from '#shared/model/faults.ts';
import { DEVICE, SUBTYPE } from '../fuse/mountpoint.ts';
import type { Binding, Handler } from './binding.ts';

const OPERATIONS_MAX = 35;
/** libfuse tells the kernel of no change by others, so that this is how long it may believe that a name leads to a file. */
const NAMES_KNOWN_SECONDS = 0.5;
/** The names of a file are several to libfuse, and what is changed by one of them shows by the others. */
const ATTRIBUTES_KNOWN_SECONDS = 0;
const LOOK_MS = 250;
const LAST_LOOKS_MS = 10;

interface Serving {
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly isReadOnly: boolean;
  /** Whether the kernel may believe anything for any time. */
  readonly believes: boolean;
}

/**
 * A session of libfuse, which reads requests in threads of its own and hands them to this one. fuse-native's own JavaScript is
 * left out: it has no option for writes above 4 KiB nor for our numbers of inodes, gives up on a slow store after 15 s, asks by
 * path where a handle is given, and writes past the caller's memory in getxattr and listxattr.
 */
export class LibfuseSession {
  readonly ended: Promise<void>;
  readonly #device: string;
  #lookMs = LOOK_MS;

  constructor(binding: Binding, at: string, serving: Serving) {
    const before = devices();
    const session = mounted(binding, at, serving);
    this.#device = devices().find((fd) => !before.includes(fd)) ?? '';
    this.ended = this.#watch().then(() => binding.fuse_native_unmount(at, session));
  }

  /** It has been unmounted: the end is close. */
  hurry(): void {
    this.#lookMs = LAST_LOOKS_MS;
  }

  /** libfuse tells nobody that it has ended, but closes the device. */
  async #watch(): Promise<void> {
    while (isDevice(this.#device)) await sleep(this.#lookMs, undefined, { ref: false });
  }
}

/** What libfuse and its binding write to, for as long as this process lives: they say of nothing that they are done with it. */
const kept: unknown[] = [];

function mounted(binding: Binding, at: string, serving: Serving): Buffer {
  const session = Buffer.alloc(binding.sizeof_fuse_thread_t);
  const implemented = new Uint32Array(OPERATIONS_MAX);
  const byNumber = Array.from({ length: OPERATIONS_MAX - 1 }, (): Handler => () => {});
  for (const [name, handler] of Object.entries(serving.handlers)) {
    const operation = binding[`op_${name}`] ?? 0;
    implemented[operation] = 1;
    byNumber[operation] = handler;
  }
  const allocate = (bytes: number) => Buffer.alloc(bytes);
  kept.push(session);
  try {
    binding.fuse_native_mount(at, `-o${optionsOf(serving).join(',')}`, session, {}, allocate, byNumber, implemented);
  } catch (error) {
    throw new LeatError('unavailable', `${at}: libfuse could not mount there, and has said why on standard error`, {
      cause: error,
    });
  }
  return session;
}

function optionsOf({ isReadOnly, believes }: Serving): string[] {
  return [
    `fsname=${SUBTYPE}`,
    `subtype=${SUBTYPE}`,
    'default_permissions',
    'use_ino',
    'big_writes',
    'atomic_o_trunc',
    `entry_timeout=${believes ? NAMES_KNOWN_SECONDS : 0}`,
    `attr_timeout=${ATTRIBUTES_KNOWN_SECONDS}`,
    ...(isReadOnly ? ['ro'] : []),
  ];
}

/** Descriptors of this process that are FUSE sessions. */
function devices(): string[] {
  return readdirSync('/proc/self/fd').filter(isDevice);
}

function isDevice(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === DEVICE;
  } catch {
    return false;
  }
}
