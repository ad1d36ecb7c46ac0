/** Milliseconds since the epoch, with a fraction. Passed in, never read from the air: tests and simulation own time. */
export type Clock = () => number;
