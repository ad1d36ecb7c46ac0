/**
 * Where the bytes of a file are when its `close` returns. MUST_CACHE: only at the agent that wrote them. CACHE_THROUGH: in the
 * store, and cached. THROUGH: in the store. ASYNC_THROUGH: at the agent, which brings them to the store behind.
 */
export const WRITE_TYPES = ['MUST_CACHE', 'CACHE_THROUGH', 'THROUGH', 'ASYNC_THROUGH'] as const;
export type WriteType = (typeof WRITE_TYPES)[number];

/** Of a file, or of a directory for what lies below it. */
export const WRITE_TYPE_XATTR = 'user.leat.writetype';
/** Of a mount. */
export const WRITE_TYPE_OPTION = 'write.type';
