import { chownSync, lstatSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { paceOf } from '../lib/cli/again.ts';
import { defineCommand, type Invocation } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { show, warn } from '../lib/cli/say.ts';
import { openInventory, stateDir, type CommonArgs } from '../lib/cli/session.ts';
import { EXIT, InputError } from '../lib/errors.ts';
import { makeFolder } from '../lib/folder.ts';
import { marked, standingOf, writeMarked } from '../lib/install/marked.ts';
import { secretPlaces } from '../lib/install/secrets.ts';
import { allowedPrograms } from '../lib/inventory/programs.ts';
import { systemctl, systemdRuns, TIMER } from '../lib/install/systemd.ts';
import { DEFAULT_DIR, ENVIRONMENT_FILE, FOR, textsOf, type Job, type Kind } from '../lib/install/texts.ts';
import { unreadableFor, userId } from '../lib/install/users.ts';
import type { Inventory } from '../lib/inventory/types.ts';
import type { Runtime } from '../lib/runtime.ts';
import { placeOf } from '../lib/state/place.ts';

export const install = defineCommand({
  usage: 'install',
  describe: 'have check-and-failover run every minute as a user of its own, by systemd or cron',
  flags: (y) =>
    kindFlags(commonFlags(y))
      .option('user', {
        type: 'string',
        requiresArg: true,
        default: 'proxwarden',
        describe: 'who runs it; has to exist',
      })
      .option('every', {
        type: 'string',
        requiresArg: true,
        describe: 'look so often within the minute, for example 10s',
      })
      .option('print', {
        type: 'boolean',
        default: false,
        describe: 'print what would be written, and write nothing',
      })
      .example(
        '$0 install --systemd --inventory /etc/proxwarden/inventory --state /var/lib/proxwarden/state',
        'a service and its timer',
      )
      .example('$0 install --cron --print', 'what would go into /etc/cron.d'),
  async run(args, invocation) {
    const { io, runtime } = invocation;
    const kind = kindOf(args);
    const inventory = await openInventory(args, invocation);
    if (args.every !== undefined) paceOf({ for: FOR, every: args.every });
    const job = { ...jobOf(args.user, args, invocation, inventory), every: args.every ?? null };
    const dir = args.dir ?? DEFAULT_DIR[kind];
    const files = textsOf(kind, job);
    if (args.print) {
      for (const { name, text } of files) io.out(`# ${dir}/${name}\n${marked(text)}`);
      return EXIT.ok;
    }
    const uid = await userId(runtime, args.user);
    if (uid === null)
      throw new InputError(`there is no user ${args.user} on this machine`, {
        hint: `useradd --system --no-create-home --shell /usr/sbin/nologin ${args.user}, or name another with --user`,
      });
    const stale = files.filter((file) => standingOf(dir, file) !== 'same');
    const { variables } = secretPlaces(inventory);
    const read = [job.node, job.program, job.inventory, ...job.reads];
    if (uid !== 0) await refuseUnreadable(runtime, job.user, read);
    const own = args.dir === undefined;
    if (own) refuseBoth(kind);
    prepareState(job, uid);
    if (uid !== 0) await refuseUnreadable(runtime, job.user, job.writes);
    for (const file of stale) writeMarked(dir, file);
    if (kind === 'systemd' && own && stale.length > 0 && systemdRuns()) {
      await systemctl(runtime, 'daemon-reload');
      await systemctl(runtime, 'enable', '--now', TIMER);
    }
    if (variables.length > 0)
      warn(io, [
        kind === 'systemd'
          ? `the inventory names ${variables.join(', ')}: put NAME=value lines into ${ENVIRONMENT_FILE}, mode 600`
          : `the inventory names ${variables.join(', ')}, which cron does not have: use file:PATH instead`,
      ]);
    const told = { kind, dir, written: stale.map(({ name }) => name), user: args.user };
    if (args.json) io.out(JSON.stringify(told, null, 2));
    else if (stale.length === 0) show(io, `installed already in ${dir}: nothing to change`);
    else {
      show(
        io,
        `${stale.map(({ name }) => `${dir}/${name}`).join(' and ')} written; it runs every minute as ${args.user}`,
      );
      if (kind === 'systemd')
        show(
          io,
          own && systemdRuns()
            ? `see it with: journalctl -u proxwarden -f`
            : `then: systemctl daemon-reload && systemctl enable --now ${TIMER}`,
        );
      show(
        io,
        `by hand, use the same user: sudo -u ${args.user} ${job.node} ${job.program} status --inventory ${job.inventory} --state ${job.state}`,
      );
    }
    return EXIT.ok;
  },
});

/** --systemd, --cron and --dir, for `install` and `uninstall`. */
export function kindFlags<T>(yargs: ReturnType<typeof commonFlags<T>>) {
  return yargs
    .option('systemd', { type: 'boolean', default: false, describe: 'a service and a timer' })
    .option('cron', { type: 'boolean', default: false, describe: 'a file for /etc/cron.d' })
    .option('dir', {
      type: 'string',
      requiresArg: true,
      describe: 'folder for the files, and then nothing is started [/etc/systemd/system or /etc/cron.d]',
    });
}

/** Which of the two was asked for. Throws InputError for none, or both. */
export function kindOf(args: { readonly systemd: boolean; readonly cron: boolean }): Kind {
  if (args.systemd === args.cron) throw new InputError('say one of --systemd and --cron');
  return args.systemd ? 'systemd' : 'cron';
}

function jobOf(
  user: string,
  args: CommonArgs,
  invocation: Invocation,
  inventory: Inventory,
): Omit<Job, 'every'> {
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(user))
    throw new InputError(`${user.slice(0, 40)} is not the name of a user`);
  const program = realpathSync(process.argv[1] ?? '');
  if (!program.endsWith('.js') && !program.endsWith('.mjs'))
    throw new InputError('only the built command can be installed', {
      hint: 'npm run build, then node dist/proxwarden.js install …',
    });
  const hooks = allowedPrograms(invocation.runtime.env);
  const place = placeOf(stateDir(args, invocation));
  return {
    user,
    node: process.execPath,
    program,
    inventory: inventory.dir,
    state: place.dir,
    writes: [...new Set([place.dir, place.local])],
    confined: !Object.values(inventory.clusters).some(({ shell }) => shell?.kind === 'local'),
    allowedHooks: hooks.join(':'),
    reads: [...secretPlaces(inventory).files, ...hooks],
  };
}

/** What it can't read would be noticed a minute later, by nobody. */
async function refuseUnreadable(runtime: Runtime, user: string, paths: readonly string[]): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const unreadable = await unreadableFor(runtime, user, paths);
  if (unreadable.length > 0)
    throw new InputError(`${user} can't read ${unreadable.join(', ')}`, {
      hint: `chown ${user} for tokens and the state; all of it has to be in folders that ${user} may enter, so not in /root`,
    });
}

/** Two that call it every minute do no harm, and nobody wants them. */
function refuseBoth(kind: Kind): void {
  const other: Kind = kind === 'systemd' ? 'cron' : 'systemd';
  for (const path of other === 'cron' ? ['/etc/cron.d/proxwarden'] : [`/etc/systemd/system/${TIMER}`])
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined)
      throw new InputError(`it is installed for ${other} already (${path})`, {
        hint: `proxwarden uninstall --${other}`,
      });
}

/** The state folder is there and belongs to the user; what is there and belongs to another is not changed. */
function prepareState(job: Job, uid: number): void {
  for (const folder of job.writes) {
    const found = lstatSync(folder, { throwIfNoEntry: false });
    if (found === undefined) {
      // Others may pass through what is above it.
      makeFolder(dirname(folder), 0o755);
      makeFolder(folder, 0o700);
      if (process.geteuid?.() === 0) chownSync(folder, uid, -1);
    } else if (found.uid !== uid)
      throw new InputError(`the state folder ${folder} belongs to user ${found.uid}, not to ${job.user}`, {
        hint: `chown -R ${job.user} ${folder}, or name another folder with --state`,
      });
  }
}
