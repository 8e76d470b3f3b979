import { readFileSync, writeFileSync } from 'node:fs';
import { busyContainers } from '../lib/act/busy.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, narrowFlags } from '../lib/cli/options.ts';
import { show } from '../lib/cli/say.ts';
import { narrow, openInventory, stateDir } from '../lib/cli/session.ts';
import { assess } from '../lib/decide/decide.ts';
import { movedFromHome, type Moved } from '../lib/decide/home.ts';
import { EXIT } from '../lib/errors.ts';
import { withHome } from '../lib/inventory/record-home.ts';
import type { Inventory } from '../lib/inventory/types.ts';
import { freshObservation } from '../lib/state/observation.ts';
import { openOperations } from '../lib/state/operations.ts';
import { openState } from '../lib/state/store.ts';

export const drift = defineCommand({
  usage: 'drift [names..]',
  describe: 'containers that live elsewhere than the inventory says; --write records it there',
  flags: (y) =>
    narrowFlags(commonFlags(y))
      .option('write', {
        type: 'boolean',
        default: false,
        describe: 'write `home: NODE` into the inventory files, and change nothing else in them',
      })
      .example('$0 check && $0 drift', 'who is away from home; exit 3 when there is any')
      .epilogue(
        'After a failover a container belongs to its old node still: `failback` would take it there. With `home:` the new one is its home.',
      ),
  async run(args, invocation) {
    const { runtime, io } = invocation;
    const inventory = await openInventory(args, invocation);
    const dir = stateDir(args, invocation);
    const store = openState(dir, { clock: runtime.clock });
    const operations = openOperations(dir, { clock: runtime.clock });
    const only = narrow(inventory, args.names, args.cluster);
    const observation = freshObservation(store.local, inventory, runtime.clock.now());
    // What is under way is not where it will be.
    const { busy } = busyContainers({ operations, inventory });
    const moved = movedFromHome(assess(inventory, observation, store.read()), observation)
      .filter(({ container }) => !busy.has(container) && (only?.has(container) ?? true))
      .map((one) => ({ ...one, written: args.write && write(inventory, one) }));
    if (args.json) io.out(JSON.stringify(moved, null, 2));
    else {
      for (const one of moved) show(io, sentence(inventory, one));
      if (moved.length === 0) show(io, 'every container that is seen is at home');
    }
    return moved.length === 0 ? EXIT.ok : EXIT.unhealthy;
  },
});

/** Whether it could be written into the inventory. A home in another cluster would be another cluster's entry. */
function write(inventory: Inventory, { container, at }: Moved): boolean {
  const entry = inventory.containers[container];
  if (entry === undefined || entry.cluster !== at.cluster) return false;
  const text = withHome(readFileSync(entry.file, 'utf8'), container, at.node);
  if (text === null) return false;
  writeFileSync(entry.file, text);
  return true;
}

function sentence(
  inventory: Inventory,
  { container, current, home, at, written }: Moved & { readonly written: boolean },
): string {
  const belongs = home === null ? 'nothing says where it belongs' : `its home is ${home.node}`;
  const { file = '', cluster } = inventory.containers[container] ?? {};
  const next = written
    ? `home: ${at.node} is written into ${file}`
    : at.cluster === cluster
      ? `take it there with \`proxwarden failback ${container}\`, or write \`home: ${at.node}\` into ${file}`
      : `take it there with \`proxwarden failback ${container}\`; only an entry of its own in ${at.cluster} could say that it belongs there`;
  return `${container} runs as ${current}, and ${belongs}: ${next}`;
}
