import type { Versions } from './blocks.ts';

/** What a writer says before it does it. */
export type Step =
  | { readonly do: 'open'; readonly name: string; readonly isEmptied: boolean }
  | {
      readonly do: 'write';
      readonly name: string;
      readonly first: number;
      readonly count: number;
      readonly version: number;
    }
  | { readonly do: 'sync' | 'close'; readonly name: string }
  | { readonly do: 'rename'; readonly name: string; readonly to: string };

type Files = ReadonlyMap<string, Versions>;

/** What a writer has been promised: what its files must hold, and what they may, where it died between a step and its answer. */
export class Ledger {
  #files: Files = new Map();
  #pending: Step | undefined;
  readonly #open = new Set<string>();
  /** Of all files, in all versions that were ever closed. */
  readonly #closed = new Set<string>();
  steps = 0;

  note(line: string): void {
    const said = JSON.parse(line) as Step | 'done';
    if (said !== 'done') return this.#begin(said);
    if (!this.#pending) throw new Error('a step was done that had not begun');
    this.#files = after(this.#files, this.#pending);
    this.#pending = undefined;
    this.steps++;
  }

  #begin(step: Step): void {
    this.#pending = step;
    if (step.do === 'open') this.#open.add(step.name);
    if (step.do !== 'close') return;
    this.#open.delete(step.name);
    this.#closed.add(textOf(this.#files.get(step.name)));
  }

  /** What is wrong with what was found after the writer's death; undefined: nothing. */
  fault(found: Files): string | undefined {
    const { name = '' } = this.#pending ?? {};
    const allowed = this.#pending ? [this.#files, after(this.#files, this.#pending)] : [this.#files];
    if (allowed.some((files) => isSame(files, found))) return undefined;
    if (this.#pending?.do === 'write' && isPart(allowed, found, name)) return undefined;
    const names = new Set([...found.keys(), ...this.#files.keys()]);
    const [wrong] = [...names].filter((one) =>
      allowed.every((files) => textOf(files.get(one)) !== textOf(found.get(one))),
    );
    const should = allowed.map((files) => textOf(files.get(wrong ?? '')));
    return `${wrong} holds ${textOf(found.get(wrong ?? ''))}, but should hold ${should.join(' or ')} (${JSON.stringify(this.#pending)})`;
  }

  /** A version that was closed; or what the death of the writer has closed, as it was found afterwards. */
  wasClosed(versions: Versions, found: Files): boolean {
    const text = textOf(versions);
    return this.#closed.has(text) || [...this.#open].some((name) => textOf(found.get(name)) === text);
  }
}

function after(files: Files, step: Step): Files {
  const next = new Map(files);
  const old = files.get(step.name) ?? [];
  if (step.do === 'open') next.set(step.name, step.isEmptied ? [] : old);
  if (step.do === 'write') {
    const end = step.first + step.count;
    const isWritten = (index: number) => index >= step.first && index < end;
    const length = Math.max(old.length, end);
    next.set(
      step.name,
      Array.from({ length }, (_, index) => (isWritten(index) ? step.version : (old[index] ?? 0))),
    );
  }
  if (step.do === 'rename') {
    next.delete(step.name);
    next.set(step.to, old);
  }
  return next;
}

function isSame(files: Files, found: Files): boolean {
  return (
    files.size === found.size && [...files].every(([name, versions]) => textOf(versions) === textOf(found.get(name)))
  );
}

/** A write was cut short: each block is the old or the new one, and the file ends in between. */
function isPart([old, whole]: readonly Files[], found: Files, name: string): boolean {
  const [before = [], then = [], now = []] = [old, whole, found].map((files) => files?.get(name));
  const isBetween = now.length >= before.length && now.length <= then.length;
  const areEither = now.every((version, index) => version === (before[index] ?? 0) || version === then[index]);
  return isBetween && areEither && isSame(new Map(old).set(name, now), found);
}

/** Runs of versions: `7×40 0×3 9×1`. */
function textOf(versions: Versions | undefined): string {
  if (!versions) return 'nothing';
  const runs: { version: number; count: number }[] = [];
  for (const version of versions) {
    const last = runs.at(-1);
    if (last?.version === version) last.count++;
    else runs.push({ version, count: 1 });
  }
  return `[${runs.map(({ version, count }) => `${version}×${count}`).join(' ')}]`;
}
