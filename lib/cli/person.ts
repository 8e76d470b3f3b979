/** Who types: what is written down beside a person's word. */
import { userInfo } from 'node:os';

/** The name of the user, or its number where it has no entry in the system's list of users. */
export function personName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}
