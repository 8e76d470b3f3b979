/** What the process is killed in: a command in a world, after what has come before. Where it is killed is not said here. */

export interface Story {
  readonly name: string;
  /** The scenario whose world, inventory and hooks it has. */
  readonly folder: string;
  readonly before: readonly string[];
  /** The step in which the process is killed. */
  readonly cut: string;
  /** A cut command is not gone on with: it may have ended as if it had not been given. */
  readonly maybe?: boolean;
  readonly inventory?: (yaml: string) => string;
  /** What may happen between the kill and the next run, each by itself. */
  readonly meanwhile?: readonly (readonly string[])[];
}

/**
 * The same with less to read, since each story is told a thousand times: one failed check is enough, one endpoint, one
 * canary, and no second container to watch.
 */
function lean(yaml: string): string {
  return yaml
    .replace('defaults:', 'defaults:\n  failureThreshold: 1')
    .replace(/ {4}- https:..10\.0\.0\.1[13]:8006\n/g, '')
    .replace(/\n {2}db:\n( {4}.*\n)+/, '\n')
    .replace('[tcp:10.0.0.1:53, tcp:10.0.0.9:8007]', '[tcp:10.0.0.1:53]');
}

const DEAD = ['cron', 'wait 20s', 'kill pve1'];

const stories: readonly Story[] = [
  {
    name: 'a failover of a dead node, with a fence and hooks',
    folder: 'hook-stops-it',
    before: DEAD,
    cut: 'cron',
    inventory: (yaml) => lean(yaml).replace('[pve2, pve3]', '[pve2]'),
    meanwhile: [
      ['revive pve1', 'wait 40s'],
      ['kill pve2', 'wait 40s'],
      ['wait 3h'],
      ['wipe state'],
      ['wipe state', 'revive pve1', 'wait 40s'],
    ],
  },
  { name: 'a failover with the same vmid', folder: 'same-vmid', before: DEAD, cut: 'cron' },
  {
    name: 'a failover whose restore goes through a shell',
    folder: 'shell-restore',
    before: DEAD,
    cut: 'cron',
  },
  {
    name: 'a failover whose first target fails',
    folder: 'start-fails-relocate',
    before: [...DEAD, 'always /POST .nodes.pve2.lxc.\\d+.status.start/ answers 500 no'],
    cut: 'cron',
  },
  {
    name: 'a failover to another stand-alone node',
    folder: 'standalone-dies',
    before: [...DEAD, 'cron', 'run fence confirm attic/pve1'],
    cut: 'cron',
    inventory: (yaml) => lean(yaml).replace(/containers:\n$/, 'containers: {}\n'),
  },
  {
    name: 'a planned move, with hooks',
    folder: 'hook-stops-it',
    before: ['cron'],
    cut: 'run failover web --planned --to pve3',
    meanwhile: [
      ['start of web by hand'],
      ['kill pve1', 'wait 40s'],
      ['kill pve3', 'wait 40s'],
      ['wait 3h'],
      ['wipe state'],
    ],
  },
  {
    name: 'a planned move with the same vmid',
    folder: 'same-vmid',
    before: ['cron'],
    cut: 'run failover web --planned --to pve3',
  },
  {
    name: 'a planned move of a stopped container',
    folder: 'planned-move-stopped',
    before: ['cron', 'stop 101 by hand', 'cron'],
    cut: 'run failover web --planned --to pve3',
  },
  {
    name: 'a move to another cluster',
    folder: 'other-cluster-and-back',
    before: ['cron'],
    cut: 'run failover web --planned --to attic/pve9',
  },
  {
    name: 'a way back from another cluster',
    folder: 'other-cluster-and-back',
    before: ['cron', 'run failover web --planned --to attic/pve9', 'cron'],
    cut: 'run failback web',
  },
  {
    name: 'a failback',
    folder: 'node-dies',
    before: ['cron', 'run failover web --planned --to pve3', 'cron'],
    cut: 'run failback web',
  },
  {
    name: 'a move whose backup fails: undone',
    folder: 'node-dies',
    before: ['cron', 'after /POST .nodes.pve1.lxc.101.status.shutdown/: fill nas'],
    cut: 'run failover web --planned --to pve3',
  },
  {
    name: 'a move whose restore fails: undone',
    folder: 'node-dies',
    before: ['cron', 'always /POST .nodes.pve[23].lxc vmid=/ answers 500 no'],
    cut: 'run failover web --planned --to pve3',
  },
  {
    name: 'a move with the same vmid whose restore fails: undone',
    folder: 'same-vmid',
    before: ['cron', 'always /POST .nodes.pve3.lxc vmid=/ answers 500 no'],
    cut: 'run failover web --planned --to pve3',
  },
  { name: 'a start in place', folder: 'stopped-by-itself', before: ['cron', 'crash 101'], cut: 'cron' },
  {
    name: 'keeping a returned original down',
    folder: 'node-dies',
    before: [...DEAD, 'cron', 'revive pve1', 'wait 40s'],
    cut: 'cron',
  },
  { name: 'a backup by hand', folder: 'node-dies', before: ['cron'], cut: 'run backup web', maybe: true },
  {
    name: 'a restore by hand',
    folder: 'node-dies',
    before: ['cron'],
    cut: 'run restore web --to pve3 --vmid 901',
    maybe: true,
  },
  {
    name: 'a restore by hand that is started',
    folder: 'node-dies',
    before: ['cron', 'stop 101 by hand', 'api PUT /nodes/pve1/lxc/101/config onboot=0', 'cron'],
    cut: 'run restore web --start --to pve3',
    maybe: true,
  },
  {
    name: 'a cleanup',
    folder: 'cleanup',
    before: ['cron', 'run failover web --planned --to pve2', 'wait 168h', 'cron', 'run backup web'],
    cut: 'run cleanup web --yes web',
    maybe: true,
  },
];

export const STORIES: readonly Story[] = stories.map((story) => ({ inventory: lean, ...story }));
