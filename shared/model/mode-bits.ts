const SETUID = 0o4000;
export const SETGID = 0o2000;
export const STICKY = 0o1000;
/** Of owner, group and others. */
export const PERMISSIONS = 0o777;
const GROUP_EXECUTE = 0o010;

/** What is left of a mode when somebody writes the file, or gives it away: nobody runs as another what that other has not seen. */
export function withoutSetId(mode: number): number {
  // Setgid without the group's x once meant mandatory locking, and is no privilege.
  return mode & ~(mode & GROUP_EXECUTE ? SETUID | SETGID : SETUID);
}
