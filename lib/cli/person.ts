/** Who types: what is written down beside a person's word. */
import { userInfo } from 'node:os';

/** The name of the user, behind sudo where there is one; its number where it has no entry in the system's list of users. */
export function personName(env: Readonly<Record<string, string | undefined>>): string {
  const sudo = env['SUDO_USER'];
  if (sudo !== undefined && /^[\w.@-]{1,64}$/.test(sudo)) return sudo;
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}
