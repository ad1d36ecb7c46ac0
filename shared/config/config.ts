import { LeatError } from '../model/faults.ts';
import { parseChoice, parseBytes, parseDuration, parseNumber } from './parse.ts';
import { PROPERTIES } from './properties.ts';

type PropertyName = keyof typeof PROPERTIES;
type ValueOf<Property> = Property extends { choices: readonly (infer Choice)[] } ? Choice : number;
/** A value for every property: bytes and counts as numbers, durations in milliseconds. */
export type Config = { readonly [Name in PropertyName]: ValueOf<(typeof PROPERTIES)[Name]> };

const PARSERS = { bytes: parseBytes, duration: parseDuration, number: parseNumber };

/** Where values come from, the strongest last: the defaults, `LEAT_…` variables, `--set`. */
export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `name=value` each. */
  readonly set: readonly string[];
}

/** Values for all properties, or `invalid` with a message that names the property and where its value came from. */
export function readConfig({ env, set }: ConfigSources): Config {
  const given = new Map(set.map(splitSetting));
  for (const name of given.keys()) {
    if (!Object.hasOwn(PROPERTIES, name))
      throw new LeatError('invalid', `--set ${name}: there is no such property; ${known()}`);
  }
  const names = Object.keys(PROPERTIES) as PropertyName[];
  return Object.fromEntries(
    names.map((name) => {
      const variable = variableOf(name);
      const property = PROPERTIES[name];
      const parse = property.type === 'choice' ? parseChoice(property.choices) : PARSERS[property.type];
      const [source, text] = given.has(name)
        ? [`--set ${name}`, given.get(name) ?? '']
        : env[variable] === undefined
          ? [name, property.default]
          : [variable, env[variable]];
      return [name, parsedFrom(source, () => parse(text))];
    }),
  ) as Config;
}

/** `cache.size` is `LEAT_CACHE_SIZE` in the environment. */
export function variableOf(name: string): string {
  return `LEAT_${name.replaceAll(/[.-]/g, '_').toUpperCase()}`;
}

/** `name=value`; the value may hold more equals signs. */
export function splitSetting(setting: string): [name: string, value: string] {
  const equals = setting.indexOf('=');
  if (equals < 1) throw new LeatError('invalid', `'${setting}': write name=value`);
  return [setting.slice(0, equals), setting.slice(equals + 1)];
}

function parsedFrom<Value>(source: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    throw new LeatError('invalid', `${source}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function known(): string {
  return `there are ${Object.keys(PROPERTIES).join(', ')}`;
}
