import { powerOffByHand, powerOnByHand } from '../lib/act/fence/by-hand.ts';
import { fenceRows, type FenceRow } from '../lib/act/fence/overview.ts';
import { nodeNamed, takeWord, wordText, type Place } from '../lib/act/fence/word.ts';
import { defineCommand, type Invocation } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { personName } from '../lib/cli/person.ts';
import { openSession, type Session } from '../lib/cli/session.ts';
import { EXIT, InputError, type ExitCode } from '../lib/errors.ts';
import { table } from '../lib/tell/tables.ts';

export const fence = defineCommand({
  usage: 'fence <action> [node]',
  describe: 'read the power of nodes, test their fences, switch by hand, or confirm that one is off',
  flags: (y) =>
    commonFlags(y)
      .positional('action', {
        choices: ['status', 'test', 'confirm', 'off', 'on'] as const,
        demandOption: true,
        describe:
          'status and test read; confirm is your word that the node is off; off and on switch, and are never done by themselves',
      })
      .positional('node', { type: 'string', describe: 'the node, or CLUSTER/NODE' })
      .option('yes', {
        type: 'string',
        requiresArg: true,
        describe: 'off and on: the name of the node once more',
      })
      .option('with', {
        type: 'string',
        requiresArg: true,
        describe: 'off and on: only this driver (pve, ssh, shelly …)',
      })
      .option('despite-power', {
        type: 'boolean',
        default: false,
        describe: 'confirm: you have seen that it is off, though its plug or BMC says on',
      })
      .example('$0 fence status', 'what every configured driver reads')
      .example('$0 fence test pve1', 'would its fences work? Switches nothing')
      .example('$0 fence confirm pve1', 'you have looked: pve1 is off, and stays off')
      .example('$0 fence off pve1 --yes pve1', 'power it off, whatever runs on it'),
  async run(args, invocation) {
    const session = await openSession(args, invocation, { lenient: true });
    try {
      const { action, node } = args;
      if (action === 'status' || action === 'test') return await show(session, action, node);
      if (node === undefined) throw new InputError(`which node? \`fence ${action} NODE\``);
      const place = nodeNamed(session.inventory, node);
      if (action === 'confirm') return await confirm(session, place, args);
      const wanted = { place, yes: args.yes, driver: args.with };
      const text = await (action === 'off' ? powerOffByHand : powerOnByHand)(session, wanted);
      invocation.io.out(args.json ? JSON.stringify({ ...place, action, text }) : text);
      return EXIT.ok;
    } finally {
      await session.close();
    }
  },
});

/** Writes a person's word down, and says so; `ack --fenced` does the same. */
export async function confirm(
  session: Session,
  place: Place,
  { despitePower, json }: { readonly despitePower: boolean; readonly json: boolean },
): Promise<ExitCode> {
  const word = await takeWord(session, place, { by: personName(session.runtime.env), despitePower });
  session.invocation.io.out(json ? JSON.stringify(word) : wordText(word));
  return EXIT.ok;
}

async function show(
  session: Session,
  action: 'status' | 'test',
  named: string | undefined,
): Promise<ExitCode> {
  const { inventory, args, invocation } = session;
  const places =
    named === undefined
      ? Object.values(inventory.clusters).flatMap((cluster) =>
          Object.keys(cluster.nodes).map((node): Place => ({ cluster: cluster.name, node })),
        )
      : [nodeNamed(inventory, named)];
  const rows = await fenceRows(session, places);
  invocation.io.out(args.json ? JSON.stringify(rows, null, 2) : print(invocation, action, rows));
  const bad =
    action === 'test'
      ? rows.some((r) => r.problem !== null)
      : rows.some((r) => r.switches && r.power === 'unknown');
  return bad ? EXIT.failed : EXIT.ok;
}

function print({ io }: Invocation, action: 'status' | 'test', rows: readonly FenceRow[]): string {
  const test = action === 'test';
  return table(
    ['NODE', 'DRIVER', 'POWER', ...(test ? ['TEST'] : []), 'DETAIL'],
    rows.map((r) => [
      `${r.cluster}/${r.node}`,
      r.driver,
      r.power,
      ...(test ? [r.problem === null ? 'ok' : 'FAILS'] : []),
      test && r.problem !== null ? `${r.detail}: ${r.problem}` : r.detail,
    ]),
    io.columns,
  );
}
