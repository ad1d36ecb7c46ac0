import { FILES_MAX, MIXES, mixOf, type Mix, parseCount, parseOperations } from '#shared/cost/mixes.ts';
import { DEFAULT_LOAD, estimate, type Estimate, type Load } from '#shared/cost/model.ts';
import { type Beside, others } from '#shared/cost/others.ts';
import { PRICES_DATED, REGION } from '#shared/cost/prices.ts';
import { OPERATION_NAMES } from '#shared/cost/requests.ts';
import { dollars, FILE_BYTES } from '#shared/cost/tables.ts';
import { command, usage, UsageError } from './command.ts';

const AGENTS_MAX = 10_000;
/** A path is read in one request of a hundred keys. */
const DEPTH_MAX = 90;
const FILE_BYTES_MAX = 5e12;
const FILES_DEFAULT = '100M';
const MIX_DEFAULT = 'training';
const NAME_WIDTH = 28;
const USD_WIDTH = 14;

const HELP = `
Estimates what Leat in the cloud costs in a month: a line for each part of the bill, then the same by what causes it, what it
costs idle, and others beside it. Asks nobody: the prices are a table in the program, with its date; docs/cost.md says where
each comes from, and which could not be verified. No agents (instances), and none of the data in the buckets, are in it.

Operations are those that reach the table, a second, over all agents and averaged over the month: what an agent knows by
itself costs nothing. They are ${OPERATION_NAMES.join(', ')}.
Mixes: ${Object.entries(MIXES)
  .map(([name, mix]) => `${name}: ${mixText(mix)}`)
  .join('\n       ')}

JSON: {region, pricesDated, load, parts, causes, storageUsd, idleUsd, totalUsd, beside}; parts, causes and beside are
[{name, usd}], beside with includes; all in dollars a month.

  leat cost
  leat cost --files 1B --mix etl --agents 100
  leat cost --files 20M --ops stat=100/s,create=10/s
`;

export const cost = command({
  name: 'cost',
  usage: '',
  takes: [0, 0],
  summary: 'estimate what the cloud costs in a month',
  help: HELP,
  options: {
    files: { type: 'string', value: 'N', help: `how many files, as 5000, 100M or 1B (default ${FILES_DEFAULT})` },
    ops: { type: 'string', value: 'LIST', help: 'operations a second, as stat=100/s,create=10/s' },
    mix: { type: 'string', value: 'NAME', help: `or one of ${Object.keys(MIXES).join(', ')} (default ${MIX_DEFAULT})` },
    agents: { type: 'string', value: 'N', help: `agents joined (default ${DEFAULT_LOAD.agents})` },
    depth: { type: 'string', value: 'N', help: `names in a path (default ${DEFAULT_LOAD.depth})` },
    size: { type: 'string', value: 'BYTES', help: `of a file, for the others (default ${FILE_BYTES})` },
  },
  async run({ values, print }) {
    const load: Load = {
      ...DEFAULT_LOAD,
      files: whole('--files', values.files ?? FILES_DEFAULT, FILES_MAX),
      mix: mixFrom(values),
      agents: whole('--agents', values.agents ?? String(DEFAULT_LOAD.agents), AGENTS_MAX),
      depth: whole('--depth', values.depth ?? String(DEFAULT_LOAD.depth), DEPTH_MAX),
    };
    const fileBytes = whole('--size', values.size ?? String(FILE_BYTES), FILE_BYTES_MAX);
    const estimated = estimate(load);
    const beside = others({ files: load.files, mix: load.mix, fileBytes });
    const about = { region: REGION, pricesDated: PRICES_DATED, load };
    print(textOf(load, estimated, beside), { ...about, ...estimated, beside });
  },
});

function whole(option: string, text: string, max: number): number {
  const value = usage(() => parseCount(text, max), option);
  if (Number.isInteger(value)) return value;
  throw new UsageError(`${option}: '${text}' is no whole number`);
}

function mixFrom({ ops, mix }: { readonly ops?: string | undefined; readonly mix?: string | undefined }): Mix {
  if (ops !== undefined && mix !== undefined) throw new UsageError('give --ops or --mix, not both');
  if (ops !== undefined) return usage(() => parseOperations(ops), '--ops');
  return usage(() => mixOf(mix ?? MIX_DEFAULT), '--mix');
}

function mixText(mix: Mix): string {
  return Object.entries(mix)
    .map(([name, rate]) => `${name}=${rate}/s`)
    .join(',');
}

function textOf({ files, mix, agents, depth }: Load, estimated: Estimate, beside: readonly Beside[]): string {
  const { parts, causes, storageUsd, idleUsd, totalUsd } = estimated;
  const line = (name: string, usd: number, more = '') =>
    `  ${name.padEnd(NAME_WIDTH)}${dollars(usd).padStart(USD_WIDTH)}${more && `  ${more}`}`;
  const asked = `${files.toLocaleString('en-US')} files, ${agents} agents, paths of ${depth} names`;
  const lines = [
    `$ a month in ${REGION}, prices of ${PRICES_DATED}: ${asked}, ${mixText(mix)}`,
    ...parts.map(({ name, usd }) => line(name, usd)),
    line('in all', totalUsd),
    'Of it, by cause (idle is what it costs when nothing happens, besides what is stored):',
    ...causes.map(({ name, usd }) => line(name, usd, name === 'idle' ? '' : share(usd, totalUsd))),
    line('stored', storageUsd, share(storageUsd, totalUsd)),
    line('stored and idle', storageUsd + idleUsd),
    'Beside it:',
    ...beside.map(({ name, usd, includes }) => line(name, usd, includes)),
    "Leat's metadata alone is in the sum above: no instances, no data. See docs/cost.md for sources and assumptions.",
  ];
  return lines.map((each) => `${each}\n`).join('');
}

const share = (usd: number, of: number): string => `${Math.round((100 * usd) / of)}%`;
