/** Runs an act for each item, at most `width` at a time. The first failure stops the taking of more and is thrown. */
export async function inLanes<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  width: number,
  act: (item: Item) => Promise<void>,
): Promise<void> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let isOver = false;
  const lane = async () => {
    while (!isOver) {
      const next = await source.next();
      if (next.done) return;
      await act(next.value);
    }
  };
  const guarded = () =>
    lane().catch((error: unknown) => {
      isOver = true;
      throw error;
    });
  const results = await Promise.allSettled(Array.from({ length: width }, guarded));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure) throw failure.reason;
}
