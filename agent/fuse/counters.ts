import { type InodeId, inodeNumber } from '#shared/model/ids.ts';

const COMMITS = 0;
const MESSAGES = 1;
const ASLEEP = 2;
const ROOM = 3;
const FIRST_HELD = 4;
/** Many inodes share a number: those beside one that is held are taken for held too. */
const HELD_SLOTS = 4096;
const WORDS = FIRST_HELD + HELD_SLOTS;
const ROOM_UNIT = 4096;
const ROOM_MAX = 2 ** 31 - 1;

/** What the two threads of a mount tell each other without a system call: numbers in memory that they share. */
export class Counters {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
  }

  /** Another commit has been made, and is about to be answered: who read rows before has to look again. */
  committed(): void {
    Atomics.add(this.#words, COMMITS, 1);
  }

  /** Two equal answers mean that no row has changed in between. */
  get commits(): number {
    return Atomics.load(this.#words, COMMITS);
  }

  /** A message has been posted to the worker. True: it sleeps, and has to be woken. */
  posted(): boolean {
    Atomics.add(this.#words, MESSAGES, 1);
    return Atomics.load(this.#words, ASLEEP) === 1;
  }

  get messages(): number {
    return Atomics.load(this.#words, MESSAGES);
  }

  /** The worker says so before it looks for messages a last time, so that none comes between that look and its sleep. */
  set isAsleep(asleep: boolean) {
    Atomics.store(this.#words, ASLEEP, asleep ? 1 : 0);
  }

  /** Bytes that written files may still grow by. */
  set room(bytes: number) {
    Atomics.store(this.#words, ROOM, Math.max(-ROOM_MAX, Math.min(ROOM_MAX, Math.floor(bytes / ROOM_UNIT))));
  }

  get room(): number {
    return Atomics.load(this.#words, ROOM) * ROOM_UNIT;
  }

  /** Takes some of it, as far as the worker knows. False: there is not enough. */
  takeRoom(bytes: number): boolean {
    const units = Math.ceil(bytes / ROOM_UNIT);
    if (Atomics.load(this.#words, ROOM) < units) return false;
    Atomics.sub(this.#words, ROOM, units);
    return true;
  }

  /** One local file more of this inode that the kernel has open by itself; or, -1, one less. */
  held(id: InodeId, by: 1 | -1): void {
    Atomics.add(this.#words, slotOf(id), by);
  }

  isHeld(id: InodeId): boolean {
    return Atomics.load(this.#words, slotOf(id)) > 0;
  }
}

const slotOf = (id: InodeId): number => FIRST_HELD + (inodeNumber(id) % HELD_SLOTS);
