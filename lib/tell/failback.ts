/** What a person who moves a container home may wonder about. Pure. */
import type { Decision } from '../decide/model.ts';
import type { Container } from '../inventory/types.ts';

/** Why it doesn't get its old vmid again. `original`: it is still there. */
export function vmidNote({ name, vmid }: Container, { action }: Decision, original: boolean): string[] {
  if (action === null || action.vmid === vmid) return [];
  const why = original
    ? `CT ${vmid} is the original, which is kept down with what was written before the failover; \`proxwarden cleanup ${name}\` deletes it after seven days, and no copy takes its vmid`
    : `CT ${vmid} was the original, and no copy takes its vmid`;
  return [`it becomes CT ${action.vmid} there: ${why}`];
}
