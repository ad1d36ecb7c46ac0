/** A file, directory or symlink as copying sees it. Names and targets are text that stands for bytes. */
export interface Item {
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'symlink';
  /** Bytes. */
  readonly size: number;
  readonly mode: number;
  readonly mtimeNs: bigint;
  readonly target?: string;
}

/** Where something is made that is to be renamed into its place. */
export function unfinishedName(path: string): string {
  return `${path}.leat-copy-${process.pid}`;
}

/** One end of a copy: this machine's files, or Leat's. Absence is a value in `stat`; all other failures are thrown. */
export interface Side {
  stat(path: string, options: { readonly follow: boolean }): Promise<Item | undefined>;
  list(path: string): AsyncIterable<Item>;
  read(path: string): Promise<ReadableStream<Uint8Array>>;
  /** The file is there whole, or as it was before. */
  write(path: string, body: ReadableStream<Uint8Array>, item: Item): Promise<void>;
  /** What is there already is no error. */
  makeDirectory(path: string, item: Item): Promise<void>;
  makeSymlink(path: string, target: string): Promise<void>;
  setTime(path: string, mtimeNs: bigint): Promise<void>;
}
