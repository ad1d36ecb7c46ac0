/** The one table of properties. Set by `--set name=value`, a `LEAT_…` variable, or a mount option where `scope` is 'mount'. */
interface Property {
  readonly type: 'bytes' | 'duration' | 'number' | 'choice';
  readonly default: string;
  /** Of a choice: its values. */
  readonly choices?: readonly string[];
  readonly scope: 'agent' | 'mount';
  readonly help: string;
}

export const PROPERTIES = {
  metastore: {
    type: 'choice',
    choices: ['lmdb', 'heap'],
    default: 'lmdb',
    scope: 'agent',
    help: 'Where the namespace is kept: lmdb (a file below --data) or heap (memory, gone with the process).',
  },
  'metastore.durability': {
    type: 'choice',
    choices: ['relaxed', 'strict'],
    default: 'relaxed',
    scope: 'agent',
    help: 'strict: a change answers once it is on disk. relaxed: it survives the death of the process at once, power loss within 100 ms.',
  },
  'metadata.lease': {
    type: 'duration',
    default: '1m',
    scope: 'agent',
    help: 'How long the kernel and clients may keep what they have looked up without asking again.',
  },
  'metadata.mode': {
    type: 'choice',
    choices: ['api', 'direct'],
    default: 'api',
    scope: 'agent',
    help: 'Of an agent that has joined a cloud. api: changes go to its API. direct: the agent makes them on the table itself, whose role must let it.',
  },
  'metadata.rows.max': {
    type: 'number',
    default: '5000000',
    scope: 'agent',
    help: 'Hard limit of the rows of a cloud that are kept below --data, some 150 bytes each.',
  },
  'fuse.driver': {
    type: 'choice',
    choices: ['auto', 'kernel', 'libfuse'],
    default: 'auto',
    scope: 'agent',
    help: 'kernel: speaks with the kernel itself. libfuse: by the package fuse-native, slower, and for the user of the agent alone. auto: kernel, or libfuse where that cannot run.',
  },
  'fuse.profile': {
    type: 'choice',
    choices: ['general', 'training', 'strict'],
    default: 'general',
    scope: 'agent',
    help: 'general: what others change shows when they are done with it, at the next open. training: read-only, and files are read without open and close calls, for data that does not change. strict: every look at a name asks anew, for who changes the same files from several nodes.',
  },
  'fuse.acl': {
    type: 'choice',
    choices: ['on', 'off'],
    default: 'off',
    scope: 'agent',
    help: 'on: the mount has POSIX ACLs, and the kernel heeds them; it then asks for that of each file, which `ls -l` of a large directory feels.',
  },
  'cache.size': {
    type: 'bytes',
    default: '16GiB',
    scope: 'agent',
    help: 'Hard limit of the bytes cached below --data.',
  },
  'cache.files.max': {
    type: 'number',
    default: '1000000',
    scope: 'agent',
    help: 'Hard limit of the number of cached files; bounds the memory of their index.',
  },
  'cache.memory': {
    type: 'bytes',
    default: '32MiB',
    scope: 'agent',
    help: 'Hard limit of the buffers for data on its way from stores to readers.',
  },
} as const satisfies Record<string, Property>;
