/** Something that can be set, as text, on the command line or in the environment. */
export interface Property<Value> {
  readonly otherwise: Value;
  /** Throws the rest of the sentence "NAME is VALUE, …". */
  readonly parse: (text: string) => Value;
  readonly help: string;
}

export function property<Value>(otherwise: Value, parse: (text: string) => Value, help: string): Property<Value> {
  return { otherwise, parse, help };
}

export function flag(text: string): boolean {
  if (text === 'true' || text === 'on') return true;
  if (text === 'false' || text === 'off') return false;
  throw new Error('which is neither true nor false');
}

export function word(pattern: RegExp, wanted: string): (text: string) => string {
  return (text) => {
    if (!pattern.test(text)) throw new Error(`which is not ${wanted}`);
    return text;
  };
}

export function optional(pattern: RegExp, wanted: string): (text: string) => string | undefined {
  return word(pattern, wanted);
}

export function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!Number.isInteger(number) || number < min || number > max)
      throw new Error(`which is not a whole number from ${min} to ${max}`);
    return number;
  };
}

export function oneOf(numbers: readonly number[]): (text: string) => number {
  return (text) => {
    if (!numbers.includes(Number(text))) throw new Error(`which is none of ${numbers.join(', ')}`);
    return Number(text);
  };
}

export function architecture(text: string): 'arm64' | 'x86_64' {
  if (text === 'arm64' || text === 'x86_64') return text;
  throw new Error('which is neither arm64 nor x86_64');
}

export function bucketNames(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim().replace(/^s3:\/\//, ''));
  const odd = names.find((name) => !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name));
  if (odd !== undefined) throw new Error(`in which ${JSON.stringify(odd)} is no name of a bucket`);
  return names;
}
