import { resolve } from 'node:path';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { show, warn } from '../lib/cli/say.ts';
import { inventoryDir } from '../lib/cli/session.ts';
import { EXIT, InputError } from '../lib/errors.ts';
import { counted } from '../lib/text.ts';
import { protectionChanges } from '../lib/inventory/changes.ts';
import { loadInventory } from '../lib/inventory/load.ts';
import { programDigests } from '../lib/inventory/program-digests.ts';
import { inventoryJsonSchema } from '../lib/inventory/schema.ts';
import { changesMarkdown, changesText } from '../lib/tell/changes.ts';

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
      .option('against', {
        type: 'string',
        requiresArg: true,
        describe: 'another version of the inventory: say which containers gain, lose or change protection',
      })
      .option('markdown', {
        type: 'boolean',
        default: false,
        describe: 'as a comment for a pull request',
      })
      .example('$0 validate --against ../main/inventory', 'what a pull request would change, in words')
      .example(
        '$0 validate --inventory inventory/example',
        'every problem at once, with file, line and column',
      ),
  run(args, invocation) {
    if (args.schema) {
      invocation.io.out(JSON.stringify(inventoryJsonSchema(), null, 2));
      return Promise.resolve(EXIT.ok);
    }
    if (args.markdown && args.against === undefined)
      throw new InputError('--markdown says what a change means, so it needs --against DIR');
    const inventory = loadInventory(inventoryDir(args, invocation), { env: invocation.runtime.env });
    if (args.against !== undefined) {
      const dir = resolve(invocation.cwd, args.against);
      const before = loadInventory(dir, { env: invocation.runtime.env });
      const changes = protectionChanges(
        { inventory: before, programs: programDigests(before) },
        { inventory, programs: programDigests(inventory) },
      );
      const { io } = invocation;
      if (args.json) io.out(JSON.stringify(changes, null, 2));
      else if (args.markdown) io.out(changesMarkdown(changes));
      else for (const line of changesText(changes)) show(io, line);
      return Promise.resolve(changes.length === 0 ? EXIT.ok : EXIT.unhealthy);
    }
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
