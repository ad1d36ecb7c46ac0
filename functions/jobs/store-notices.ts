import * as z from 'zod';

/** A message as S3 writes it. What it sends when notifications are set up has no records. */
const Notification = z.object({
  Records: z
    .array(
      z.object({
        s3: z.object({ bucket: z.object({ name: z.string() }), object: z.object({ key: z.string() }) }),
      }),
    )
    .default([]),
});

/** The URIs of the objects that have changed. S3 encodes keys as forms do. */
export function changedObjects(message: unknown): string[] {
  return Notification.parse(message).Records.map(({ s3: { bucket, object } }) => {
    return `s3://${bucket.name}/${decodeURIComponent(object.key.replaceAll('+', ' '))}`;
  });
}
