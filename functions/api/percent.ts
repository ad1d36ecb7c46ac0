import { fromText } from '#shared/model/names.ts';

/** Percent-encodes the bytes that a text stands for, lone surrogates included, where `encodeURIComponent` throws. */
function percentEncoded(text: string): string {
  return fromText(text).replaceAll(/[^A-Za-z0-9_.~/-]/g, (byte) => {
    return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  });
}

/** What the typed client gives `fetch` as a query; plain `URLSearchParams` would replace what is not UTF-8 by U+FFFD. */
export class ByteSearchParams extends URLSearchParams {
  readonly #pairs: readonly string[];

  constructor(values: Readonly<Record<string, string | readonly string[] | undefined>>) {
    super();
    this.#pairs = Object.entries(values).flatMap(([name, value]) =>
      value === undefined ? [] : [value].flat().map((one) => `${name}=${percentEncoded(one)}`),
    );
  }

  override toString(): string {
    return this.#pairs.join('&');
  }
}
