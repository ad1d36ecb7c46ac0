import { heldTime, type Nanos } from './inode.ts';

/** Strings are byte strings: a u32 length, then a byte per char. */
export class RowWriter {
  readonly #bytes: Uint8Array;
  readonly view: DataView;
  at = 0;

  constructor(size: number) {
    this.#bytes = new Uint8Array(size);
    this.view = new DataView(this.#bytes.buffer);
  }

  time(time: Nanos): void {
    const nanos = heldTime(time);
    const seconds = nanos / 1_000_000_000n - (nanos % 1_000_000_000n < 0n ? 1n : 0n);
    this.view.setBigInt64(this.at, (seconds << 30n) | (nanos - seconds * 1_000_000_000n), true);
    this.at += 8;
  }

  float(value: number): this {
    this.view.setFloat64(this.at, value, true);
    this.at += 8;
    return this;
  }

  raw(text: string): this {
    for (let i = 0; i < text.length; i++) this.#bytes[this.at + i] = text.charCodeAt(i);
    this.at += text.length;
    return this;
  }

  string(text: string): this {
    this.view.setUint32(this.at, text.length, true);
    this.at += 4;
    return this.raw(text);
  }

  hex(digits: string): void {
    for (let i = 0; i < digits.length; i += 2) this.#bytes[this.at++] = Number.parseInt(digits.slice(i, i + 2), 16);
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.at);
  }
}

export class RowReader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(view: DataView, bytes: Uint8Array, at: number) {
    this.#view = view;
    this.#bytes = bytes;
    this.#at = at;
  }

  time(): Nanos {
    const packed = this.#view.getBigInt64(this.#at, true);
    this.#at += 8;
    return (packed >> 30n) * 1_000_000_000n + (packed & 0x3fffffffn);
  }

  float(): number {
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, true);
  }

  raw(length: number): string {
    if (this.#at + length > this.#bytes.length) throw new RangeError(`${length} bytes past the end`);
    let text = '';
    for (let i = 0; i < length; i++) text += String.fromCharCode(this.#bytes[this.#at + i] ?? 0);
    this.#at += length;
    return text;
  }

  string(): string {
    const length = this.#view.getUint32(this.#at, true);
    this.#at += 4;
    return this.raw(length);
  }

  hex(count: number): string {
    let digits = '';
    for (let i = 0; i < count; i++) digits += (this.#bytes[this.#at++] ?? 0).toString(16).padStart(2, '0');
    return digits;
  }
}
