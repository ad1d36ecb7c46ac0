import { MIXES, type MixName } from './mixes.ts';
import { DEFAULT_LOAD, estimate, millionUsd } from './model.ts';
import { others } from './others.ts';
import { type Price, PRICES } from './prices.ts';
import { OPERATION_NAMES, OPERATIONS, type Requests, unitsOf } from './requests.ts';

type Table = readonly (readonly string[])[];

const DOCUMENTED_SIZES = { '1 M files': 1e6, '100 M files': 1e8, '1 B files': 1e9 } as const;
export const FILE_BYTES = 256 * 1024;

const mixNames = Object.keys(MIXES) as MixName[];
const loadOf = (files: number, mix: MixName) => ({ ...DEFAULT_LOAD, files, mix: MIXES[mix] });

/** The tables of `docs/cost.md`, by the name that stands before each; the first row is the head. A test compares them. */
export function documentedTables(): Readonly<Record<string, Table>> {
  return {
    operations: [
      ['operation', 'requests', 'read + write units', '$ per million'],
      ...OPERATION_NAMES.map((name) => operationRow(name)),
    ],
    mixes: [['mix', 'operations a second that reach the table'], ...mixNames.map((name) => [name, mixText(name)])],
    months: [
      ['mix', ...Object.keys(DOCUMENTED_SIZES)],
      ...mixNames.map((name) => [
        name,
        ...Object.values(DOCUMENTED_SIZES).map((files) => dollars(estimate(loadOf(files, name)).totalUsd)),
      ]),
      ['stored and idle', ...Object.values(DOCUMENTED_SIZES).map((files) => dollars(idleWith(files)))],
    ],
    idle: [
      ['agents', '$ a month'],
      ...[0, 1, 8, 100].map((agents) => [
        String(agents),
        dollars(estimate({ ...loadOf(0, 'home'), mix: {}, agents }).totalUsd),
      ]),
    ],
    causes: causesTable(),
    beside: besideTable(),
    prices: [['unit', '$', 'source', 'its date'], ...Object.values<Price>(PRICES).map((price) => priceRow(price))],
  };
}

const idleWith = (files: number) => estimate({ ...DEFAULT_LOAD, files, mix: {} }).totalUsd;

function operationRow(name: (typeof OPERATION_NAMES)[number]): string[] {
  const { depth } = DEFAULT_LOAD;
  const { read, write } = unitsOf(name, depth);
  const { says, requests } = OPERATIONS[name];
  return [says, requestsText(requests(depth)), `${read} + ${write}`, millionUsd(name, depth).toFixed(2)];
}

/** `1 BatchGetItem of 7, 1 PutItem`. */
function requestsText(requests: Requests): string {
  return Object.entries(requests)
    .map(([kind, [count, items]]) => `${count} ${kind}${items > count ? ` of ${items}` : ''}`)
    .join(', ');
}

function mixText(name: MixName): string {
  return Object.entries(MIXES[name])
    .map(([operation, rate]) => `${operation} ${rate}`)
    .join(', ');
}

function causesTable(): Table {
  const estimates = mixNames.map((name) => estimate(loadOf(1e8, name)));
  const causes = [...new Set(estimates.flatMap((each) => each.causes.map(({ name }) => name)))];
  const cell = (name: string, { causes: parts }: (typeof estimates)[number]) => {
    const part = parts.find((each) => each.name === name);
    return part ? dollars(part.usd) : '';
  };
  return [
    ['100 M files', ...mixNames],
    ...causes.map((name) => [name, ...estimates.map((each) => cell(name, each))]),
    ['storage, recovery', ...estimates.map(({ storageUsd }) => dollars(storageUsd))],
  ];
}

function besideTable(): Table {
  const sizes = Object.values(DOCUMENTED_SIZES);
  const columns = sizes.map((files) => others({ files, mix: MIXES.training, fileBytes: FILE_BYTES }));
  const leat = sizes.map((files) => dollars(estimate(loadOf(files, 'training')).totalUsd));
  return [
    ['training', ...Object.keys(DOCUMENTED_SIZES), 'what that includes'],
    ['Leat', ...leat, 'metadata only, 8 agents joined; no agents, no data'],
    ...(columns[0] ?? []).map(({ name, includes }, i) => [
      name,
      ...columns.map((column) => dollars(column[i]?.usd ?? 0)),
      includes,
    ]),
  ];
}

function priceRow({ unit, usd, source, dated, isVerified }: Price): string[] {
  const isTiny = usd < 1e-4;
  return [
    isTiny ? `million of: ${unit}` : unit,
    String(isTiny ? Number((usd * 1e6).toPrecision(6)) : usd),
    source,
    dated === '' && isVerified ? 'undated' : dated,
  ];
}

/** Cents below a hundred dollars. */
export function dollars(usd: number): string {
  if (usd < 100) return usd.toFixed(2);
  return String(Math.round(usd)).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
