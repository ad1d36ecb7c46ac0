import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The package's own folder: one above this file, in the source tree as in the bundle. */
export const PACKAGE_ROOT = fileURLToPath(new URL('..', import.meta.url));

export const LEAT_VERSION = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
