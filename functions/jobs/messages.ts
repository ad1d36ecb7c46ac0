/** What a function is handed of a queue; names are those of Lambda. */
export interface QueueEvent {
  readonly Records: readonly { readonly messageId: string; readonly body: string }[];
}

/** The messages that failed, which come again, and in the end go to the dead letters; the others are done. */
export interface QueueAnswer {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}

/** One after the other. A failure is told with what was to be done, and hinders no other. */
export async function eachMessage(
  event: QueueEvent,
  tell: (line: string) => void,
  act: (body: unknown) => Promise<void>,
): Promise<QueueAnswer> {
  const failed: { itemIdentifier: string }[] = [];
  for (const { messageId, body } of event.Records) {
    try {
      await act(JSON.parse(body));
    } catch (error) {
      tell(JSON.stringify({ level: 'error', message: String(error), messageId, body }));
      failed.push({ itemIdentifier: messageId });
    }
  }
  return { batchItemFailures: failed };
}
