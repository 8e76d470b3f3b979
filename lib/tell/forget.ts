/** What is given up with a container that has left the inventory, in sentences. Pure. */
import type { Forgotten } from '../act/forget.ts';

export function forgottenText({ container, current, superseded }: Forgotten, dryRun: boolean): string {
  return [
    `${container} ${dryRun ? 'would be' : 'is'} forgotten${current === null ? '' : `; ${current} is left as it is`}`,
    ...superseded.map(({ copy, kept }) => `  ${copy} is kept down no more: ${kept}`),
  ].join('\n');
}
