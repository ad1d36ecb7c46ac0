import { readFileSync, renameSync, writeFileSync } from 'node:fs';

/** A short text in a file of its own, replaced as a whole. */
export interface KeptText {
  load(): string | undefined;
  save(text: string): void;
}

export function keptText(file: string): KeptText {
  return {
    load() {
      try {
        return readFileSync(file, 'utf8').trim() || undefined;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    save(text) {
      writeFileSync(`${file}.new`, `${text}\n`);
      renameSync(`${file}.new`, file);
    },
  };
}
