import { LeatError, type FaultKind } from '#shared/model/faults.ts';

/** A file system in memory, as small as it can be: what the namespace has to agree with. */
export type Node =
  | { readonly kind: 'directory'; readonly children: Map<string, Node> }
  | { readonly kind: 'file'; text: string }
  | { readonly kind: 'symlink'; readonly target: string };

type Directory = Extract<Node, { kind: 'directory' }>;

const SYMLINKS_MAX = 40;

const refuse = (kind: FaultKind): never => {
  throw new LeatError(kind, 'the model refuses');
};
const emptyDirectory = (): Directory => ({ kind: 'directory', children: new Map() });
const namesOf = (path: string) => path.split('/').filter((name) => name !== '');

export class TreeModel {
  readonly root = emptyDirectory();

  mkdir(path: string): void {
    this.#make(path, emptyDirectory());
  }

  mkdirAll(path: string): void {
    const names = namesOf(path);
    names.forEach((_, i) => {
      const at = `/${names.slice(0, i + 1).join('/')}`;
      try {
        this.mkdir(at);
      } catch (error) {
        const there = this.#find(at);
        if (there?.kind === 'directory') return;
        if (there && i < names.length - 1) refuse('notDirectory');
        throw error;
      }
    });
  }

  create(path: string): void {
    this.#make(path, { kind: 'file', text: '' });
  }

  symlink(path: string, target: string): void {
    this.#make(path, { kind: 'symlink', target });
  }

  write(path: string, text: string): void {
    const { children, name } = this.#target(path);
    const node = children.get(name);
    if (node?.kind === 'directory') refuse('isDirectory');
    if (node?.kind === 'symlink') refuse('invalid');
    if (node?.kind === 'file') node.text = text;
    else children.set(name, { kind: 'file', text });
  }

  remove(path: string, kind: 'file' | 'directory'): void {
    const { children, name } = this.#target(path);
    const node = children.get(name) ?? refuse('notFound');
    if (kind === 'directory') {
      if (node.kind !== 'directory') refuse('notDirectory');
      else if (node.children.size > 0) refuse('notEmpty');
    } else if (node.kind === 'directory') refuse('isDirectory');
    children.delete(name);
  }

  removeTree(path: string): void {
    const { children, name } = this.#target(path);
    if (!children.delete(name)) refuse('notFound');
  }

  /** One more name for the same node. */
  link(from: string, to: string): void {
    const source = this.#target(from);
    const node = source.children.get(source.name) ?? refuse('notFound');
    if (node.kind === 'directory') refuse('notPermitted');
    this.#make(to, node);
  }

  rename(from: string, to: string): void {
    const source = this.#target(from);
    const node = source.children.get(source.name) ?? refuse('notFound');
    const target = this.#target(to);
    const replaced = target.children.get(target.name);
    if (replaced === node) return;
    if (target.chain.includes(node)) refuse('invalid');
    if (replaced && node.kind === 'directory' && replaced.kind !== 'directory') refuse('notDirectory');
    if (replaced?.kind === 'directory') {
      if (node.kind !== 'directory') refuse('isDirectory');
      if (replaced.children.size > 0) refuse('notEmpty');
    }
    source.children.delete(source.name);
    target.children.set(target.name, node);
  }

  /** Every path with what is there: a directory ends in a slash. */
  entries(): Record<string, string> {
    const found: Record<string, string> = {};
    const visit = ({ children }: Directory, prefix: string) => {
      for (const [name, node] of children) {
        if (node.kind !== 'directory') found[prefix + name] = node.kind === 'file' ? node.text : `-> ${node.target}`;
        else {
          found[`${prefix}${name}/`] = '';
          visit(node, `${prefix}${name}/`);
        }
      }
    };
    visit(this.root, '');
    return found;
  }

  /** For each file and symlink that has several names all of them; a store has it under one. */
  shared(): string[][] {
    const names = new Map<Node, string[]>();
    const visit = ({ children }: Directory, prefix: string) => {
      for (const [name, node] of children) {
        if (node.kind === 'directory') visit(node, `${prefix}${name}/`);
        else names.set(node, [...(names.get(node) ?? []), prefix + name]);
      }
    };
    visit(this.root, '');
    return [...names.values()].filter((all) => all.length > 1);
  }

  stat(path: string): Node {
    return this.#resolve(namesOf(path), false).at(-1) ?? this.root;
  }

  #find(path: string): Node | undefined {
    try {
      return this.#resolve(namesOf(path), true).at(-1);
    } catch {
      return undefined;
    }
  }

  #make(path: string, node: Node): void {
    const { children, name } = this.#target(path);
    if (children.has(name)) refuse('exists');
    children.set(name, node);
  }

  #target(path: string): { children: Map<string, Node>; name: string; chain: Node[] } {
    const names = namesOf(path);
    const name = names.pop() ?? refuse('busy');
    const chain = this.#resolve(names, true);
    const directory = chain.at(-1);
    if (directory?.kind !== 'directory') return refuse('notDirectory');
    return { children: directory.children, name, chain };
  }

  #resolve(names: readonly string[], follow: boolean): Node[] {
    const chain: Node[] = [this.root];
    let todo = [...names];
    let links = 0;
    for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
      const directory = chain.at(-1);
      if (directory?.kind !== 'directory') return refuse('notDirectory');
      const node = directory.children.get(name) ?? refuse('notFound');
      if (node.kind !== 'symlink' || (todo.length === 0 && !follow)) chain.push(node);
      else if (++links > SYMLINKS_MAX) refuse('tooManyLinks');
      else todo = [...namesOf(node.target), ...todo];
    }
    return chain;
  }
}
