import { chmod, mkdir, mkdtemp, open, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Binding, DIRECT, EMBEDDED, homeOf, JOINED, LIBFUSE } from '../support/bindings.ts';
import { openMountStage, type MountStage } from '../support/mounted.ts';

/** Far below the lease: what comes in time was told, and not looked up because it was old. */
const SOON = { timeout: 20_000 };
const LEASE = '1h';

const codeOf = ({ code }: { readonly code: string }) => code;
const textAt = (file: string) => readFile(file, 'utf8').catch(codeOf);
const modeAt = (file: string) => stat(file).then(({ mode }) => (mode & 0o7777).toString(8), codeOf);

/** Every kind of change, made in a place where the mount does not see it being made. */
function shows(place: () => { readonly made: string; readonly shown: string }): void {
  const at = (name: string) => ({ made: join(place().made, name), shown: join(place().shown, name) });

  it('another content, also of the same size and with the same time', async () => {
    const { made, shown } = at('content');
    await writeFile(made, 'one');
    await utimes(made, 1000, 1000);
    await expect.poll(() => textAt(shown), SOON).toBe('one');
    await writeFile(made, 'two');
    await utimes(made, 1000, 1000);
    await expect.poll(() => textAt(shown), SOON).toBe('two');
    await writeFile(made, 'three, which is longer');
    await expect.poll(() => textAt(shown), SOON).toBe('three, which is longer');
    await writeFile(made, '');
    await expect.poll(() => textAt(shown), SOON).toBe('');
  });

  it('attributes', async () => {
    const { made, shown } = at('attributes');
    await writeFile(made, 'x', { mode: 0o644 });
    await expect.poll(() => modeAt(shown), SOON).toBe('644');
    await chmod(made, 0o600);
    await expect.poll(() => modeAt(shown), SOON).toBe('600');
    await utimes(made, 1000.5, 2000.5);
    await expect.poll(async () => (await stat(shown)).mtimeMs, SOON).toBe(2_000_500);
  });

  it('a file that was put over another', async () => {
    const { made, shown } = at('over');
    await writeFile(made, 'under');
    await expect.poll(() => textAt(shown), SOON).toBe('under');
    await writeFile(`${made}.new`, 'over');
    await rename(`${made}.new`, made);
    await expect.poll(() => textAt(shown), SOON).toBe('over');
    await expect.poll(() => textAt(`${shown}.new`), SOON).toBe('ENOENT');
  });

  it('another name, of a file and of a directory with all below', async () => {
    const { made, shown } = at('named');
    await mkdir(join(made, 'deep'), { recursive: true });
    await writeFile(join(made, 'deep', 'file'), 'deep');
    await expect.poll(() => textAt(join(shown, 'deep', 'file')), SOON).toBe('deep');
    await rename(join(made, 'deep', 'file'), join(made, 'deep', 'other'));
    await expect.poll(() => textAt(join(shown, 'deep', 'file')), SOON).toBe('ENOENT');
    await expect.poll(() => textAt(join(shown, 'deep', 'other')), SOON).toBe('deep');
    await rename(made, `${made}-moved`);
    await expect.poll(() => textAt(join(shown, 'deep', 'other')), SOON).toBe('ENOENT');
    await expect.poll(() => textAt(join(`${shown}-moved`, 'deep', 'other')), SOON).toBe('deep');
  });

  it('what is gone, and what is there again under its name', async () => {
    const { made, shown } = at('gone');
    await writeFile(made, 'first');
    await expect.poll(() => textAt(shown), SOON).toBe('first');
    await unlink(made);
    await expect.poll(() => textAt(shown), SOON).toBe('ENOENT');
    await mkdir(made);
    await writeFile(join(made, 'in'), 'second');
    await expect.poll(() => textAt(join(shown, 'in')), SOON).toBe('second');
    await rm(made, { recursive: true });
    await expect.poll(() => textAt(join(shown, 'in')), SOON).toBe('ENOENT');
  });

  it('a name that was asked for before it was there', async () => {
    const { made, shown } = at('asked');
    for (let i = 0; i < 3; i++) expect(await textAt(shown)).toBe('ENOENT');
    await writeFile(made, 'now');
    await expect.poll(() => textAt(shown), SOON).toBe('now');
  });

  it('another target of a symlink', async () => {
    const { made, shown } = at('link');
    await symlink('one', made);
    await expect.poll(() => readlink(shown).catch(codeOf), SOON).toBe('one');
    await unlink(made);
    await symlink('other', made);
    await expect.poll(() => readlink(shown).catch(codeOf), SOON).toBe('other');
  });
}

/** Libfuse cannot: to it a file that is replaced from elsewhere stays the same, and the kernel's pages with it. */
function keepsOpened(place: () => { readonly made: string; readonly shown: string }): void {
  const at = (name: string) => ({ made: join(place().made, name), shown: join(place().shown, name) });

  it('the content that was there at the open to who has a file open, and the new one at the next', async () => {
    const { made, shown } = at('open');
    await writeFile(made, 'the old content');
    await expect.poll(() => textAt(shown), SOON).toBe('the old content');
    await using file = await open(shown);
    expect((await file.read(Buffer.alloc(3), 0, 3, 0)).buffer.toString()).toBe('the');
    await writeFile(made, 'A NEW CONTENT THAT IS LONGER');
    await expect.poll(() => textAt(shown), SOON).toBe('A NEW CONTENT THAT IS LONGER');
    expect(await file.readFile('utf8')).toMatch(/^the old content$/);
  });
}

for (const binding of [EMBEDDED, LIBFUSE])
  describe.runIf(binding.isThere)(`a mount shows what is changed in the folder that it shows, ${binding.name}:`, () => {
    const home = homeOf(binding);
    let stage: MountStage;
    let source: string;
    beforeAll(async () => {
      stage = await openMountStage(home);
      source = await mkdtemp(join(stage.folder, 'source-'));
      const args = ['--sync', '200ms'];
      await stage.start([`s=${source}`], { set: { 'metadata.lease': LEASE }, args });
    });
    afterAll(() => stage.clear());
    const place = () => ({ made: source, shown: join(stage.at, 's') });
    shows(place);
    if (binding !== LIBFUSE) keepsOpened(place);
  });

const PAIRS = [
  [JOINED, JOINED],
  [JOINED, DIRECT],
  [DIRECT, JOINED],
] as const;

async function openPair(home: ReturnType<typeof homeOf>, bindings: Readonly<Record<string, Binding>>, profile: string) {
  const stage = await openMountStage(home);
  const at = (node: string) => join(stage.folder, node, 's');
  const set = { 'metadata.lease': LEASE, 'fuse.profile': profile };
  const store = join(stage.folder, 'store');
  await mkdir(store);
  for (const [node, binding] of Object.entries(bindings)) {
    const data = join(stage.folder, `${node}-data`);
    const stores = node === 'one' ? [`s=${store}`] : [];
    await stage.start(stores, { at: join(stage.folder, node), data, set: { ...set, ...binding.set } });
  }
  return { stage, at };
}

for (const [first, second] of PAIRS)
  describe.runIf(JOINED.isThere)(`a mount shows what another node changes, ${first.name}; ${second.name}:`, () => {
    const home = homeOf(JOINED);
    let pair: Awaited<ReturnType<typeof openPair>>;
    beforeAll(async () => void (pair = await openPair(home, { one: first, two: second }, 'general')));
    afterAll(() => pair.stage.clear());
    const place = () => ({ made: pair.at('one'), shown: pair.at('two') });
    shows(place);
    keepsOpened(place);
  });

const TIMES = 5;

for (const binding of [JOINED, DIRECT])
  describe.runIf(JOINED.isThere)(`a strict mount, ${binding.name}`, () => {
    const home = homeOf(JOINED);
    let pair: Awaited<ReturnType<typeof openPair>>;
    beforeAll(async () => void (pair = await openPair(home, { one: JOINED, two: binding }, 'strict')));
    afterAll(() => pair.stage.clear());

    it('shows each change of another node as soon as it has been made', async () => {
      const at = (name: string) => ({ made: join(pair.at('one'), name), shown: join(pair.at('two'), name) });
      for (let i = 0; i < TIMES; i++) {
        const [file, other] = [at('file'), at('other')];
        await writeFile(file.made, `content ${i}`);
        expect(await textAt(file.shown)).toBe(`content ${i}`);
        await chmod(file.made, 0o600 + i);
        expect(await modeAt(file.shown)).toBe((0o600 + i).toString(8));
        expect(await textAt(other.shown)).toBe('ENOENT');
        await rename(file.made, other.made);
        expect([await textAt(file.shown), await textAt(other.shown)]).toEqual(['ENOENT', `content ${i}`]);
        await unlink(other.made);
        expect(await textAt(other.shown)).toBe('ENOENT');
      }
    });

    it('shows them in both directions', async () => {
      const [one, two] = [join(pair.at('one'), 'both'), join(pair.at('two'), 'both')];
      for (let i = 0; i < TIMES; i++) {
        await writeFile(i % 2 ? one : two, `content ${i}`);
        expect(await textAt(i % 2 ? two : one)).toBe(`content ${i}`);
      }
    });
  });
