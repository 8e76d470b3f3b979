/** What a person who moves a container home may wonder about. Pure. */
import type { Decision } from '../decide/model.ts';
import type { Container } from '../inventory/types.ts';

/** Why it doesn't get its old vmid again. */
export function vmidNote({ name, vmid }: Container, { action }: Decision): string[] {
  if (action === null || action.vmid === vmid) return [];
  return [
    `it becomes CT ${action.vmid} there: CT ${vmid} stands for the original, which is kept down with what was written before the failover; \`proxwarden cleanup ${name}\` removes it after seven days, and no copy takes its vmid`,
  ];
}
