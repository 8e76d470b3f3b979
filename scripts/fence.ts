import { fenceDrivers } from '../lib/act/fence/driver.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { personName } from '../lib/cli/person.ts';
import { openInventory, stateDir } from '../lib/cli/session.ts';
import { EXIT, InputError } from '../lib/errors.ts';
import type { Inventory } from '../lib/inventory/types.ts';
import { openState } from '../lib/state/store.ts';
import { table } from '../lib/tell/tables.ts';
import { formatDuration } from '../lib/units.ts';

export const fence = defineCommand({
  usage: 'fence <action> [node]',
  describe: 'read the power state of nodes, or confirm by hand that one is off',
  flags: (y) =>
    commonFlags(y)
      .positional('action', {
        choices: ['status', 'confirm'] as const,
        demandOption: true,
        describe: 'status reads; confirm is your word that the node is off',
      })
      .positional('node', { type: 'string', describe: 'the node, or CLUSTER/NODE' })
      .example('$0 fence status', 'what every configured driver reads')
      .example('$0 fence confirm pve1', 'you have looked: pve1 is off, and stays off'),
  async run(args, invocation) {
    const inventory = openInventory(args, invocation);
    const { runtime, io, signal } = invocation;
    if (args.action === 'confirm') {
      const [cluster, node, validMs] = manualNode(inventory, args.node);
      const at = runtime.clock.now();
      const by = personName();
      await openState(stateDir(args, invocation), { clock: runtime.clock }).update(
        (s) => void (s.fenceConfirmed[`${cluster}/${node}`] = { at, by }),
      );
      io.out(
        args.json
          ? JSON.stringify({ cluster, node, at, by, validUntil: at + validMs })
          : `noted: ${by} says that ${node} is off; it holds for ${formatDuration(validMs)}, and only while ${node} is silent`,
      );
      return EXIT.ok;
    }
    if (args.node !== undefined) nodeNamed(inventory, args.node);
    const rows = await Promise.all(
      Object.values(inventory.clusters).flatMap((cluster) =>
        Object.entries(cluster.nodes)
          .filter(
            ([node]) =>
              args.node === undefined || args.node === node || args.node === `${cluster.name}/${node}`,
          )
          .flatMap(([node, { fence: configs }]) =>
            fenceDrivers(configs, runtime).map(async (driver) => ({
              cluster: cluster.name,
              node,
              driver: driver.name,
              ...(await driver.status(signal)),
            })),
          ),
      ),
    );
    io.out(
      args.json
        ? JSON.stringify(rows, null, 2)
        : table(
            ['NODE', 'DRIVER', 'POWER', 'DETAIL'],
            rows.map((r) => [`${r.cluster}/${r.node}`, r.driver, r.power, r.detail]),
            io.columns,
          ),
    );
    return rows.some((r) => r.power === 'unknown') ? EXIT.failed : EXIT.ok;
  },
});

/** The node of that name. Throws InputError when there is none, or when several clusters have one. */
function nodeNamed(inventory: Inventory, named: string) {
  const found = Object.values(inventory.clusters).flatMap((cluster) =>
    Object.entries(cluster.nodes)
      .filter(([node]) => named === node || named === `${cluster.name}/${node}`)
      .map(([node, config]) => ({ cluster: cluster.name, node, config })),
  );
  const [only, second] = found;
  if (only === undefined) {
    const names = Object.values(inventory.clusters).flatMap((cluster) => Object.keys(cluster.nodes));
    throw new InputError(
      `there is no node ${named} under nodes: in the inventory (${names.join(', ') || 'it has none'})`,
    );
  }
  if (second !== undefined)
    throw new InputError(`${named} is a node of several clusters: name it CLUSTER/${named}`);
  return only;
}

function manualNode(inventory: Inventory, named: string | undefined): [string, string, number] {
  if (named === undefined) throw new InputError('which node is off? `fence confirm NODE`');
  const only = nodeNamed(inventory, named);
  const manual = only.config.fence.find((f) => f.driver === 'manual');
  if (manual?.driver !== 'manual')
    throw new InputError(
      `the inventory does not take a person's word for ${only.node}: add \`- manual\` to its fence`,
    );
  return [only.cluster, only.node, manual.validMs];
}
