import { invariant } from '../model/faults.ts';
import { partRange, partsOf, partWithin } from '../ports/object-parts.ts';

/** Which parts of an upload are laid, and how long: no object is shown with a hole that nobody meant. */
export class LaidParts {
  readonly #lengths: number[] = [];

  laid(part: number, length: number): void {
    invariant(length <= partRange(part).length, `part ${part} of an upload is longer than its place`);
    this.#lengths[part] = length;
  }

  demandWhole(size: number): void {
    for (let part = 1; part <= partsOf(size); part++) {
      const { length } = partWithin(part, size);
      invariant(
        this.#lengths[part] === length,
        `part ${part} of an upload has ${this.#lengths[part]} bytes, not ${length}`,
      );
    }
  }
}
