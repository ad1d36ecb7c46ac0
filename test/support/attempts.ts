import { run } from './run.ts';

/** Runs statements of Python one by one and says of each `ok`, or the name of the errno that it failed with. */
const PROGRAM = `
import ctypes, errno, json, os, sys
statements, uid = json.loads(sys.argv[1]), int(sys.argv[2])
if uid:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
libc = ctypes.CDLL(None, use_errno=True)
def renameat2(old, new, flags):
    if libc.renameat2(-100, old.encode(), -100, new.encode(), flags):
        raise OSError(ctypes.get_errno(), "renameat2")
for statement in statements:
    try:
        exec(statement)
        print("ok")
    except OSError as error:
        print(errno.errorcode[error.errno])
`;

/** In a process of that user, with the names that are given as variables. The answer is by statement. */
export async function attempts(
  names: Readonly<Record<string, string>>,
  statements: readonly string[],
  { uid = 0 }: { readonly uid?: number } = {},
): Promise<Record<string, string>> {
  const set = Object.entries(names).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  const all = JSON.stringify([...set, ...statements]);
  const { stdout, stderr } = await run('python3', ['-c', PROGRAM, all, String(uid)]);
  if (stderr !== '') throw new Error(stderr);
  const said = stdout.trim().split('\n').slice(set.length);
  return Object.fromEntries(statements.map((statement, i) => [statement, said[i] ?? 'nothing']));
}
