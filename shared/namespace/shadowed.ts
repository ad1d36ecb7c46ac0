/** Of a key that is an object and a prefix the directory keeps the name; the object is shown beside it. */
export const SHADOWED_SUFFIX = '.leat-object';
