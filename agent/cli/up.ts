import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readConfig, variableOf } from '#shared/config/config.ts';
import { PROPERTIES } from '#shared/config/properties.ts';
import type { NewMount } from '#shared/namespace/namespace.ts';
import { parsePath } from '#shared/model/names.ts';
import type { Agent } from '../main.ts';
import { PACKAGE_ROOT } from '../package.ts';
import { command, DATA_DEFAULT, UsageError } from './command.ts';
import { MOUNT_OPTIONS, URI_HELP, mountSettings, parseStore } from './stores.ts';
import type { Terminal } from './terminal.ts';

const AT_DEFAULT = './leat-mnt';
const FORCED = 130;
/** What every checkout has; of an installed package only the last. None of them holds the mount point or the data. */
const OWN_FOLDERS = ['agent', 'docs', 'functions', 'shared', 'test', 'dist'];

const HELP = `
Starts an agent in the foreground and mounts the namespace at --at. ${URI_HELP}
URI alone shows the store at /, name=URI at /name; more can be added later with \`leat mount\`. Everything lasts in --data:
started again without stores, the agent has those it had. Without any it shows the files of Leat itself, read-only.
--readonly, --sync and --option hold for all stores of this command line.

Ctrl-C or SIGTERM unmounts and ends it; if the mount is in use it says so and goes on, and a second one forces it.
Where FUSE cannot be used, it says what is missing and serves the API and the command line all the same.

Errors: the mount point is not an empty directory, another agent runs on --data, a store does not answer, a store is mounted
there already from another URI.

Properties, for --set:
${propertyLines()}

  leat up s3://bucket/prefix --option s3.region=eu-central-1
  leat up data=/mnt/nas models=s3://models --at /mnt/leat --set cache.size=200GiB
`;

export const up = command({
  name: 'up',
  usage: '[URI | name=URI …]',
  takes: [0, 1000],
  summary: 'start the agent and mount the namespace',
  help: HELP,
  options: {
    at: { type: 'string', value: 'DIR', help: `where to mount (default ${AT_DEFAULT})` },
    'no-mount': { type: 'boolean', help: 'serve the API only' },
    'allow-other': { type: 'boolean', help: 'let other users of this machine use the mount' },
    port: { type: 'string', value: 'PORT', help: 'of the API (default: any free one)' },
    listen: {
      type: 'string',
      value: 'ADDRESS',
      help: 'of the API (default 127.0.0.1; beyond this machine a token is required)',
    },
    set: { type: 'string', multiple: true, value: 'NAME=VALUE', help: 'a property; repeatable' },
    ...MOUNT_OPTIONS,
  },
  async run({ positionals, values, data, terminal, print }) {
    const at = resolve(values.at ?? AT_DEFAULT);
    // Only now: every other command would wait for the AWS SDK and the metastore to be read, and use neither.
    const { startAgent } = await import('../main.ts');
    const agent = await startAgent({
      data: resolve(data),
      ...(!values['no-mount'] && { at }),
      allowOther: values['allow-other'] ?? false,
      listen: { host: values.listen ?? '127.0.0.1', port: parsePort(values.port ?? '0') },
      config: readConfig({ env: terminal.env, set: values.set ?? [] }),
      mounts: positionals.map((word) => newMount(word, mountSettings(values))),
      mountsIfNone: ownFolders(),
      log: (line) => terminal.err(`leat: ${line}\n`),
    });
    print(welcome(agent, data), { ...agent.address, at: agent.at, mounts: agent.mounts });
    await untilStopped(agent, terminal);
  },
});

function newMount(word: string, settings: ReturnType<typeof mountSettings>): NewMount {
  const { path, uri } = parseStore(word);
  return { path: parsePath(path), uri, ...settings };
}

function ownFolders(): NewMount[] {
  return OWN_FOLDERS.filter((name) => existsSync(join(PACKAGE_ROOT, name))).map((name) => ({
    path: parsePath(`/${name}`),
    uri: pathToFileURL(join(PACKAGE_ROOT, name)).href,
    readOnly: true,
    syncIntervalMs: 0,
    options: {},
  }));
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new UsageError(`--port ${text}: a port is a number from 0 to 65535`);
  return port;
}

/** The first signal stops the agent, unless the mount is in use; the second stops it all the same. */
async function untilStopped(agent: Agent, terminal: Terminal): Promise<void> {
  let signals = 0;
  terminal.takeSignals(() => {
    signals++;
    if (signals > 2) process.exit(FORCED);
    void agent.stop({ force: signals > 1 });
  });
  await agent.ended;
}

function welcome({ at, fuseMissing, mounts, address }: Agent, data: string): string {
  const where = at === undefined ? [] : mounts.map(({ path, uri }) => `  ${path === '/' ? at : at + path}  is  ${uri}`);
  const leat = `${invocation()}${data === DATA_DEFAULT ? '' : ` --data ${data}`}`;
  const shown = mounts[0]?.path ?? '/';
  const next =
    at === undefined
      ? [`${leat} fs ls -l ${shown}`, `${leat} info`, `${leat} down`]
      : [`ls -l ${relative('.', at + (shown === '/' ? '' : shown)) || at}`, `${leat} fs load ${shown}`, `${leat} info`];
  return `${at === undefined ? `Not mounted: ${fuseMissing ?? 'as asked'}` : `Mounted at ${at}:`}
${where.join('\n')}
API at ${address.url}. Ctrl-C stops.

Next, in another terminal:
${next.map((line) => `  ${line}\n`).join('')}`;
}

/** How the person who started this reaches the command line: from the source tree, or installed. */
function invocation(): string {
  const script = process.argv[1] ?? 'leat';
  return script.endsWith('agent/leat.js') ? `node ${relative('.', script)}` : 'leat';
}

function propertyLines(): string {
  return Object.entries(PROPERTIES)
    .filter(([, { scope }]) => scope === 'agent')
    .map(([name, { default: standard, help }]) => `  ${name} (${standard}; ${variableOf(name)})\n      ${help}`)
    .join('\n');
}
