import type { BytesRange } from './base-blocks.ts';

/** So often an upload hears how far its file has grown. */
const PROGRESS_BYTES = 8 << 20;

/** How a file is written on: it has grown, a part of it was written again, or it was cut. */
export type Progress =
  | { readonly grown: number }
  | { readonly rewritten: { readonly from: number; readonly to: number } }
  | { readonly cut: number };

/** A file that is written, and how far its upload knows it. */
interface Watched {
  toldTo: number;
}

type Tell = (progress: Progress) => void;

/** Of what an upload does not know yet it hears when there is much of it; of what it knows, at once. */
export function tellWritten(file: Watched, { offset, length }: BytesRange, tell: Tell): void {
  const to = offset + length;
  if (offset < file.toldTo) tell({ rewritten: { from: offset, to } });
  if (to < file.toldTo + PROGRESS_BYTES) return;
  file.toldTo = to;
  tell({ grown: to });
}

export function tellCut(file: Watched, size: number, tell: Tell): void {
  if (size < file.toldTo) tell({ cut: size });
  file.toldTo = Math.min(file.toldTo, size);
}
