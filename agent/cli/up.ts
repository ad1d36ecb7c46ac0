import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readConfig, variableOf } from '#shared/config/config.ts';
import { PROPERTIES } from '#shared/config/properties.ts';
import type { NewMount } from '#shared/namespace/namespace.ts';
import { parsePath, toText } from '#shared/model/names.ts';
import type { Agent } from '../main.ts';
import { PACKAGE_ROOT } from '../package.ts';
import type { Supervised } from '../supervisor/supervised.ts';
import { command, UsageError, usage } from './command.ts';
import { MOUNT_OPTIONS, URI_HELP, mountSettings, parseStore } from './stores.ts';
import type { Terminal } from './terminal.ts';
import { welcome } from './welcome.ts';

const AT_DEFAULT = './leat-mnt';
const FORCED = 130;
const HOLD_MS = 2 ** 30;
/** What every checkout has; of an installed package only the last. None of them holds the mount point or the data. */
const OWN_FOLDERS = ['agent', 'docs', 'functions', 'shared', 'test', 'dist'];

const HELP = `
Starts an agent in the foreground and mounts the namespace at --at.
${URI_HELP}
URI alone shows the store at /, name=URI at /name; more can be added later with \`leat mount\`. Everything lasts in --data:
started again without stores, the agent has those it had. Without any it shows the files of Leat itself, read-only.
With --join the namespace is that of a cloud, shared with all agents that have joined it; --data keeps what is cached of it.
--readonly, --sync and --option hold for all stores of this command line, s3.… for those in S3.

The agent is a child of this process, which starts another one when it dies: the mount and what programs have open on it go on.
Ctrl-C or SIGTERM unmounts and ends it; if the mount is in use it says so and goes on, and a second one forces it.
Where FUSE cannot be used, it says what is missing and serves the API and the command line all the same.

Errors: the mount point is not an empty directory, another agent runs on --data, a store does not answer, a store is mounted
there already from another URI.

Options of stores, for --option: see \`leat mount --help\`. Properties of the agent, for --set, with their defaults and variables:
${propertyLines()}

  leat up s3://bucket/prefix --option s3.region=eu-central-1
  leat up --join https://abc….lambda-url.eu-central-1.on.aws --at /mnt/leat --data /var/cache/leat
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
    join: {
      type: 'string',
      value: 'URL',
      help: 'show the namespace of a cloud, by its URL as `npm run deploy` prints it',
    },
    'no-mount': { type: 'boolean', help: 'serve the API only' },
    'allow-other': { type: 'boolean', help: 'let other users of this machine use the mount (root always does)' },
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
    // What the agent waits for does not hold the process while it starts and ends, so that this command must.
    using _alive = heldProcess();
    const { supervised } = await import('../supervisor/supervised.ts');
    const supervisor = await supervised();
    const agentStarted = stopOnSignals(terminal, supervisor);
    const mounts = newMounts(positionals, mountSettings(values));
    const port = parsePort(values.port ?? '0');
    const config = usage(() => readConfig({ env: terminal.env, set: values.set ?? [] }));
    const isNew = !supervisor?.isSuccessor || config.metastore === 'heap';
    // Only now: every other command would wait for the AWS SDK and the metastore to be read, and use neither.
    const { startAgent } = await import('../main.ts');
    const agent = await startAgent({
      data: await realPlace(resolve(data)),
      // Where a mount goes on nobody looks: it is this agent who would have to answer.
      ...(!values['no-mount'] && { at: supervisor?.at ?? (await realPlace(resolve(values.at ?? AT_DEFAULT))) }),
      allowOther: values['allow-other'] ?? false,
      listen: { host: values.listen ?? '127.0.0.1', port },
      config,
      ...(values.join !== undefined && { join: parseUrl(values.join) }),
      // What has been mounted or unmounted since is as its users want it.
      mounts: isNew ? mounts : [],
      mountsIfNone: isNew && values.join === undefined ? ownFolders() : [],
      ...(supervisor?.keeper && { keeper: supervisor.keeper }),
      ...(supervisor && { succession: supervisor }),
      log: (line) => terminal.err(`leat: ${line}\n`),
    });
    if (!supervisor?.isSuccessor) print(welcome(agent, data), { ...agent.address, at: agent.at, mounts: agent.mounts });
    agentStarted(agent);
    supervisor?.ready();
    await agent.ended;
    if (!values.json) terminal.out(agent.at === undefined ? 'Stopped.\n' : `Unmounted ${agent.at}, stopped.\n`);
  },
});

function heldProcess(): Disposable {
  const timer = setInterval(() => {}, HOLD_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function newMounts(words: readonly string[], settings: ReturnType<typeof mountSettings>): NewMount[] {
  const mounts = words.map(parseStore).map(({ path, uri }) => ({ path: parsePath(path), uri, ...settings }));
  demandDifferentPaths(mounts);
  if (!mounts.some(isS3)) return mounts;
  // One command line speaks to stores of several kinds; each hears what is meant for its own.
  const others = Object.fromEntries(Object.entries(settings.options).filter(([name]) => !name.startsWith('s3.')));
  return mounts.map((mount) => (isS3(mount) ? mount : { ...mount, options: others }));
}

function isS3({ uri }: NewMount): boolean {
  return /^s3a?:/i.test(uri);
}

function demandDifferentPaths(mounts: readonly NewMount[]): void {
  const twice = mounts.find(({ path }, i) => mounts.findIndex((other) => other.path === path) !== i);
  if (!twice) return;
  throw new UsageError(`two stores at ${toText(twice.path)}: name them apart, as a=URI b=URI`);
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

function parseUrl(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url.href.replace(/\/$/, '');
  throw new UsageError(`--join ${text}: give the URL of an API, as https://….lambda-url.eu-central-1.on.aws`);
}

/**
 * Signals count from the start: what is half started is stopped once it is whole. The first stops the agent unless the mount
 * is in use, the second stops it all the same, the third waits for nothing.
 */
function stopOnSignals(terminal: Terminal, supervisor: Supervised | undefined): (agent: Agent) => void {
  let signals = 0;
  let isAlone = false;
  let started: Agent | undefined;
  const act = () => {
    if (signals > (started ? 2 : 1)) process.exit(FORCED);
    if (signals > 0 || isAlone) void started?.stop({ force: signals > 1 || isAlone });
  };
  terminal.takeSignals(() => {
    signals++;
    act();
  });
  // Nobody keeps the session any more, nor starts another agent: who finds the mount dead should find nothing left of it.
  supervisor?.onGone(() => {
    isAlone = true;
    act();
  });
  return (agent) => {
    started = agent;
    act();
  };
}

/** Where a path leads once symlinks are followed, as the kernel's table of mounts will show it; it may not exist yet. */
async function realPlace(path: string): Promise<string> {
  const above = dirname(path);
  return realpath(path).catch(async (error: NodeJS.ErrnoException) => {
    // A dead mount point, left by an agent that was killed, cannot be looked at either.
    if (path === above || !['ENOENT', 'ENOTCONN'].includes(error.code ?? '')) return path;
    return join(await realPlace(above), basename(path));
  });
}

function propertyLines(): string {
  return Object.entries(PROPERTIES)
    .filter(([, { scope }]) => scope === 'agent')
    .map(([name, { default: standard, help }]) => `  ${name} (${standard}; ${variableOf(name)})\n      ${help}`)
    .join('\n');
}
