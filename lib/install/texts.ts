/** The texts that `install` writes: a systemd service with its timer, or a line for cron. Pure. */
import { createHash } from 'node:crypto';
import { InputError } from '../errors.ts';
import { printable } from '../text.ts';

/** Who runs what, and where. All paths are absolute. */
export interface Job {
  readonly user: string;
  readonly node: string;
  readonly program: string;
  readonly inventory: string;
  readonly state: string;
  /** Folders that it writes: the state, and on a node of Proxmox VE what is not shared of it. */
  readonly writes: readonly string[];
  /** What else it needs to see: tokens, certificates, keys, programs outside of the inventory. */
  readonly reads: readonly string[];
  /** Value of PROXWARDEN_ALLOWED_HOOKS; empty: none. */
  readonly allowedHooks: string;
  /** How often it looks within each minute, `10s`; null: once. */
  readonly every: string | null;
  /** False for `shell: local`: what it starts as root on a node (pct, lvm, mount) can't be confined. */
  readonly confined: boolean;
}

export type Kind = 'systemd' | 'cron';

export interface InstalledFile {
  readonly name: string;
  readonly text: string;
}

/** Secrets for `env:NAME`; systemd reads it as root, so it may be root's alone. It need not be there. */
export const ENVIRONMENT_FILE = '/etc/proxwarden/environment';
/** A minute is shared by many cron jobs: each installation takes a second of its own among the first ten. */
const SPREAD_S = 10;

/** Folder that the files of a kind belong into. */
export const DEFAULT_DIR = { systemd: '/etc/systemd/system', cron: '/etc/cron.d' } as const;

/** What they are called there. */
export const NAMES = { systemd: ['proxwarden.service', 'proxwarden.timer'], cron: ['proxwarden'] } as const;

/** The files of a kind, without their first line. Throws InputError for a path that can't be written into them. */
export function textsOf(kind: Kind, job: Job): InstalledFile[] {
  for (const text of [job.node, job.program, job.inventory, job.state, ...job.writes, job.allowedHooks])
    if (printable(text) !== text || text.includes('\\') || text.includes('"') || text.includes("'"))
      throw new InputError(
        `the path ${printable(text)} holds characters that neither systemd nor cron could be given`,
        {
          hint: 'use folders without quotes, backslashes and line breaks in their names',
        },
      );
  for (const path of [job.node, job.program, job.inventory, ...job.writes, ...job.reads])
    if (kind === 'systemd' && /^\/(var\/)?tmp\//.test(path))
      throw new InputError(`the service has a /tmp of its own, in which ${path} is not`, {
        hint: 'use folders elsewhere, such as /var/lib/proxwarden',
      });
  return kind === 'systemd'
    ? [
        { name: 'proxwarden.service', text: service(job) },
        { name: 'proxwarden.timer', text: TIMER },
      ]
    : [{ name: 'proxwarden', text: cron(job) }];
}

const TIMER = `[Unit]
Description=ProxWarden, every minute

[Timer]
OnCalendar=minutely
AccuracySec=1s
# A few seconds, always the same ones: counts want runs of even distance.
RandomizedDelaySec=${SPREAD_S}s
FixedRandomDelay=true
Persistent=true

[Install]
WantedBy=timers.target
`;

/** Of the minute between two calls, as the last run of one must not meet the first of the next. */
export const FOR = '55s';

function wordsOf(job: Job, ...more: string[]): string[] {
  const pace = job.every === null ? [] : ['--for', FOR, '--every', job.every];
  const places = ['--inventory', job.inventory, '--state', job.state];
  return [job.node, job.program, 'check-and-failover', ...more, ...pace, ...places];
}

function service(job: Job): string {
  const command = wordsOf(job, '--detach').map(systemdWord).join(' ');
  return `[Unit]
Description=ProxWarden: check the containers, and fail over what is due
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
Type=oneshot
User=${job.user}
ExecStart=${command}
# 3: something is unhealthy, and people have been told; 75: another run has the lock.
SuccessExitStatus=3 75
EnvironmentFile=-${ENVIRONMENT_FILE}
${job.allowedHooks === '' ? '' : `Environment=${systemdWord(`PROXWARDEN_ALLOWED_HOOKS=${job.allowedHooks}`)}\n`}# An operation is handed to a process that outlives the run, so that the next minute's run can look after the others.
# It is never killed with the service; at shutdown it gets SIGTERM, and the next run goes on from its journal.
KillMode=process
# Every wait in it has a limit; if it hangs all the same, the next run goes on from its journal.
TimeoutStartSec=15min
TimeoutStopSec=30s
UMask=0077
LimitCORE=0
MemoryMax=1G
TasksMax=256
${job.confined ? confinement(job) : ''}`;
}

/** What keeps a run, and whatever gets hold of it, from the rest of the machine. */
function confinement(job: Job): string {
  const homes = [job.node, job.program, job.inventory, job.state, ...job.reads].some((path) =>
    /^\/(home|root|run\/user)\//.test(path),
  );
  return `
# Only what it needs: the network, its state folder, and CAP_NET_RAW for ping.
CapabilityBoundingSet=CAP_NET_RAW
AmbientCapabilities=CAP_NET_RAW
NoNewPrivileges=true
ProtectSystem=strict
${job.writes.map((path) => `ReadWritePaths=${systemdWord(path)}`).join('\n')}
ProtectHome=${homes ? 'read-only' : 'true'}
# Not PrivateTmp: that would be deleted when the run ends, under an operation that goes on.
TemporaryFileSystem=/tmp:mode=1777,size=64M /var/tmp:mode=1777,size=64M
PrivateDevices=true
DevicePolicy=closed
ProtectProc=invisible
ProtectClock=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
ProtectControlGroups=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
LockPersonality=true
RemoveIPC=true
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
`;
}

function cron(job: Job): string {
  const words = wordsOf(job);
  const second = createHash('sha256').update(JSON.stringify(job)).digest().readUInt8(0) % SPREAD_S;
  const hooks = job.allowedHooks === '' ? '' : `PROXWARDEN_ALLOWED_HOOKS='${job.allowedHooks}' `;
  const command = `${hooks}exec ${words.map((word) => `'${word}'`).join(' ')}`;
  // In a crontab % is a line break.
  const line = `sleep ${second}; umask 077; ulimit -c 0; (${command}) 2>&1 | logger -t proxwarden`.replaceAll(
    '%',
    '\\%',
  );
  return `SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
* * * * * ${job.user} ${line}
`;
}

/** A word of a unit file: specifiers and variables are not what is meant. */
function systemdWord(word: string): string {
  const plain = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /\s/.test(plain) ? `"${plain}"` : plain;
}
