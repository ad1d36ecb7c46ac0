/** Files made of blocks that say what they are: which version wrote them, and which block of the file they are. */
export const BLOCK_BYTES = 4096;
const HEADER_BYTES = 8;

/** Which version wrote each block; 0 is a hole. */
export type Versions = readonly number[];

export function makeBlock(version: number, index: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES, (version * 31 + index * 7) % 251);
  block.writeUInt32LE(version, 0);
  block.writeUInt32LE(index, 4);
  return block;
}

/** Throws when a block is not one that `makeBlock` has made for its place, or a hole. */
export function versionsOf(content: Buffer): Versions {
  if (content.length % BLOCK_BYTES !== 0) throw new Error(`${content.length} bytes are no whole number of blocks`);
  return Array.from({ length: content.length / BLOCK_BYTES }, (_, index) => {
    const block = content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
    const version = block.readUInt32LE(0);
    const good = version === 0 ? Buffer.alloc(BLOCK_BYTES) : makeBlock(version, index);
    if (block.equals(good)) return version;
    const said = `version ${version}, block ${block.readUInt32LE(4)}`;
    throw new Error(
      `block ${index} is torn: it begins as ${said}, ${block.subarray(0, HEADER_BYTES + 8).toString('hex')}`,
    );
  });
}
