import { relative, resolve } from 'node:path';
import { terminalAsker } from '../lib/cli/ask.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { init as runInit } from '../lib/cli/init/init.ts';
import { initJson, initSummary } from '../lib/cli/init/summary.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { say, show } from '../lib/cli/say.ts';
import { inventoryDir } from '../lib/cli/session.ts';
import { EXIT, InputError } from '../lib/errors.ts';

export const init = defineCommand({
  usage: 'init',
  describe: 'write an inventory from a live cluster; asks, or takes flags; changes nothing there',
  flags: (y) =>
    commonFlags(y)
      .option('endpoint', {
        type: 'string',
        array: true,
        default: [] as string[],
        describe: 'https://HOST:8006 of one node; the cluster names the others (several: space between)',
      })
      .option('token', {
        type: 'string',
        requiresArg: true,
        describe: 'where the API token is, as the inventory says it: env:NAME or file:PATH',
      })
      .option('fingerprint', {
        type: 'string',
        requiresArg: true,
        describe: "SHA-256 of the first endpoint's certificate, from `pvenode cert info` on the node",
      })
      .option('ca', {
        type: 'string',
        requiresArg: true,
        describe: "the nodes' own CA instead: a copy of /etc/pve/pve-root-ca.pem",
      })
      .option('system-roots', {
        type: 'boolean',
        default: false,
        describe: 'the certificates are signed by a public CA',
      })
      .conflicts('fingerprint', 'ca')
      .option('cluster', {
        type: 'string',
        requiresArg: true,
        describe: "name in the inventory [the cluster's own, or the node's]",
      })
      .option('backup-storage', {
        type: 'string',
        requiresArg: true,
        describe: 'where the backups are [a shared one]',
      })
      .option('restore-storage', {
        type: 'string',
        requiresArg: true,
        describe: "where the copies' disks go [one that all nodes have]",
      })
      .option('ports', {
        type: 'string',
        requiresArg: true,
        describe: 'further ports to look at on the containers: 8088,9443',
      })
      .option('skip-ports', {
        type: 'boolean',
        default: false,
        describe: 'look at no ports; the checks are pings',
      })
      .option('output', {
        type: 'string',
        requiresArg: true,
        describe: 'folder for the file [that of --inventory]',
      })
      .option('dry-run', {
        type: 'boolean',
        default: false,
        describe: 'print the file, write nothing',
      })
      .example('$0 init', 'asks for what it needs, and writes inventory/CLUSTER.yaml')
      .example(
        '$0 init --endpoint https://10.0.0.11:8006 --token env:TOKEN --fingerprint AB:CD:…',
        'asks nothing',
      ),
  async run(args, invocation) {
    const { io, signal, cwd } = invocation;
    const asker =
      process.stdin.isTTY && process.stderr.isTTY
        ? terminalAsker(process.stdin, process.stderr, signal)
        : null;
    const dir = args.output === undefined ? inventoryDir(args, invocation) : resolve(cwd, args.output);
    const result = await runInit({
      flags: { ...args, ports: portsOf(args.ports) },
      dir,
      invocation,
      asker,
      tell: (text) => say(io, text),
    });
    const file = relative(cwd, result.file);
    if (args.json) io.out(initJson(result, args.dryRun));
    else if (args.dryRun) io.out(result.text.trimEnd());
    else show(io, initSummary(result, file.startsWith('..') ? result.file : file));
    return EXIT.ok;
  },
});

function portsOf(text: string | undefined): number[] {
  return (text ?? '')
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const port = /^\s*\d{1,5}\s*$/.test(part) ? Number(part) : 0;
      if (port < 1 || port > 65_535)
        throw new InputError('--ports takes numbers from 1 to 65535, separated by commas: 8088,9443');
      return port;
    });
}
