/** Numbers for what the kernel has open; those that are given back are used again, so that a table serves and no map grows. */
export class Handles<Value> {
  readonly #values: (Value | undefined)[] = [];
  readonly #free: number[] = [];

  add(value: Value): number {
    const handle = this.#free.pop() ?? this.#values.length;
    this.#values[handle] = value;
    return handle;
  }

  /** Under the numbers that they had with a process before. */
  restore(values: readonly { readonly handle: number; readonly value: Value }[]): void {
    for (const { handle, value } of values) this.#values[handle] = value;
    for (let handle = 0; handle < this.#values.length; handle++) {
      if (this.#values[handle] === undefined) this.#free.push(handle);
    }
  }

  get(handle: number): Value | undefined {
    return this.#values[handle];
  }

  remove(handle: number): Value | undefined {
    const value = this.#values[handle];
    if (value === undefined) return undefined;
    this.#values[handle] = undefined;
    this.#free.push(handle);
    return value;
  }

  all(): readonly Value[] {
    return this.#values.filter((value) => value !== undefined);
  }
}
