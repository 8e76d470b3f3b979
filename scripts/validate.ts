import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { warn } from '../lib/cli/say.ts';
import { openInventory } from '../lib/cli/session.ts';
import { EXIT } from '../lib/errors.ts';
import { counted } from '../lib/text.ts';
import { inventoryJsonSchema } from '../lib/inventory/schema.ts';

export const validate = defineCommand({
  usage: 'validate',
  describe: 'check the inventory files, offline; --schema prints their JSON Schema',
  flags: (y) =>
    commonFlags(y)
      .option('schema', {
        type: 'boolean',
        default: false,
        describe: 'print the JSON Schema that makes editors complete and check',
      })
      .example(
        '$0 validate --inventory inventory/example',
        'every problem at once, with file, line and column',
      ),
  run(args, invocation) {
    if (args.schema) {
      invocation.io.out(JSON.stringify(inventoryJsonSchema(), null, 2));
      return Promise.resolve(EXIT.ok);
    }
    const inventory = openInventory(args, invocation);
    const containers = Object.values(inventory.containers);
    const protectedOnes = containers.filter((c) => c.mode === 'protect');
    const auto = protectedOnes.filter((c) => c.failover.auto).length;
    if (args.json)
      invocation.io.out(
        JSON.stringify(
          {
            files: inventory.files,
            digest: inventory.digest,
            clusters: Object.keys(inventory.clusters),
            containers: containers.map((c) => ({
              name: c.name,
              cluster: c.cluster,
              vmid: c.vmid,
              mode: c.mode,
              auto: c.failover.auto,
            })),
            warnings: inventory.warnings,
          },
          null,
          2,
        ),
      );
    else {
      warn(invocation.io, inventory.warnings);
      invocation.io.out(
        `${counted(inventory.files.length, 'file')}, ${counted(Object.keys(inventory.clusters).length, 'cluster')}, ${counted(containers.length, 'container')}: ${protectedOnes.length} protected, ${auto} of them automatically`,
      );
    }
    return Promise.resolve(EXIT.ok);
  },
});
