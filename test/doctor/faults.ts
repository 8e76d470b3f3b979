import type { Fault } from './plants.ts';
import { container, entry, extra, fs, jobOf, node, rights, yaml } from './plants.ts';
import { emptyContainerState } from '../../lib/state/model.ts';

const DAY_MS = 86_400_000;

/** Each on a thing of its own, so that all of them can be there at once. */
export const FAULTS: readonly Fault[] = [
  ['state-unusable', (p) => void (p.runner = { ...p.runner, stateProblem: 'EACCES' })],
  ['state-unsafe', (p) => fs(p, { kind: 'refused', type: 'cifs', why: 'it makes no links' })],
  ['cron-silent', (p) => void (p.state.lastRunAt = Date.UTC(2026, 10, 22, 9))],
  ['runner-on-node', (p) => void (p.runner = { ...p.runner, addresses: ['10.0.0.15'] })],
  ['runner-in-container', (p) => void (p.runner = { ...p.runner, macs: ['BC:24:11:00:00:69'] })],
  ['canary-silent', (p) => void p.network.outside.delete('10.0.0.9:8007')],
  ['privilege-missing', (p) => rights(p, '/vms', (names) => names.filter((name) => name !== 'VM.PowerMgmt'))],
  [
    'token-expires',
    (p) => {
      rights(p, '/access/groups', () => ['User.Modify']);
      p.world = {
        ...p.world,
        tokens: p.world.tokens.map((t) => ({ ...t, expire: Date.UTC(2026, 10, 25) / 1000 })),
      };
    },
  ],
  ['endpoint-missing', (p) => yaml(p, ', https://10.0.0.13:8006', '')],
  [
    'tls-expires',
    (p) => {
      const before = p.certificate;
      p.certificate = (endpoint) => {
        const seen = before(endpoint);
        return seen === null || !endpoint.includes('10.0.0.11')
          ? seen
          : { ...seen, expires: Date.UTC(2026, 10, 22, 12) + 3 * DAY_MS };
      };
    },
  ],
  [
    'tls-insecure',
    (p) => yaml(p, 'token: env:PROXWARDEN_TOKEN', 'token: env:PROXWARDEN_TOKEN\n  tls: { insecure: true }'),
  ],
  ['clock-off', (p) => node(p, 'pve3', { clockOffsetSeconds: -90 })],
  ['version-mixed', (p) => node(p, 'pve4', { version: '7.4.1' }), 'version-unsupported', 'onboot-unguarded'],
  ['fence-silent', (p) => yaml(p, /(pve3:[^]*?)field: ison/, '$1field: nosuch')],
  ['fence-reads-off', (p) => yaml(p, /(pve4:[^]*?)off: false/, '$1off: true')],
  ['fence-missing', (p) => yaml(p, / {2}pve5:\n {4}fence:\n[^]*?\n {2}pve6/, '  pve6')],
  [
    'fence-shared',
    (p) =>
      yaml(p, "'http://10.0.0.8/plug/pve2/relay?turn=off'", "'http://10.0.0.8/plug/pve1/relay?turn=off'"),
  ],
  ['fence-of-nobody', (p) => yaml(p, 'nodes:\n', 'nodes:\n  pve9:\n    fence: [manual]\n')],
  [
    'limits-low',
    (p) => {
      yaml(p, 'defaults:', 'limits: { failoversPerHour: 1 }\ndefaults:');
      container(p, 102, { node: 'pve1' });
    },
  ],
  [
    'storage-missing',
    (p) => {
      const second = { id: 'nas2', path: '/mnt/nas2', content: ['backup'], shared: true, nodes: ['pve7'] };
      p.world = {
        ...p.world,
        storages: [...p.world.storages, second],
        backups: [...(p.world.backups ?? []), { vmid: 107, storage: 'nas2', ageSeconds: 3600 }],
        jobs: [...(p.world.jobs ?? []), { id: 'to-nas2', storage: 'nas2', schedule: '22:00', vmids: [107] }],
      };
      rights(p, '/storage/nas2', () => ['Datastore.Audit', 'Datastore.AllocateSpace']);
      entry(p, 'ct7', 'backup: { storage: nas2 }');
    },
  ],
  ['restore-blocked', (p) => container(p, 102, { memoryMiB: 7000 })],
  [
    'restore-loses',
    (p) => {
      const config = { 'lxc.idmap': 'u 0 100000 65536' };
      container(p, 101, { config });
    },
  ],
  [
    'backup-storage-local',
    (p) => {
      p.world = {
        ...p.world,
        storages: [...p.world.storages, { id: 'disk', path: '/mnt/disk', content: ['backup'] }],
        jobs: [...(p.world.jobs ?? []), { id: 'to-disk', storage: 'disk', schedule: '22:00', vmids: [106] }],
        backups: [...(p.world.backups ?? []), { vmid: 106, storage: 'disk', ageSeconds: 7200 }],
      };
      rights(p, '/storage/disk', () => ['Datastore.Audit', 'Datastore.AllocateSpace']);
      entry(p, 'ct6', 'backup: { storage: disk }');
    },
  ],
  [
    'container-missing',
    (p) => extra(p, 'gone', 'vmid: 999\n    nodes: [pve2]\n    checks: [tcp: "10.0.0.1:53"]'),
  ],
  ['container-locked', (p) => container(p, 104, { config: { lock: 'backup' } })],
  [
    'hands-off',
    (p) =>
      void (p.state.containers['ct3'] = {
        ...emptyContainerState(),
        error: { at: 0, operation: 'op-1', reason: 'the copy did not answer' },
      }),
  ],
  [
    'ha-managed',
    (p) =>
      void p.meanwhile.push(async (lab) => {
        await lab.admin('POST', '/cluster/ha/resources', ['sid=ct:103', 'state=started']);
      }),
  ],
  ['candidate-unknown', (p) => yaml(p, 'nodes: [pve3]', 'nodes: [pve3, pve33]')],
  [
    'vmid-taken',
    (p) =>
      void (p.world = {
        ...p.world,
        containers: [
          ...p.world.containers,
          { vmid: 1_000_104, node: 'pve2', hostname: 'somebody', running: true, ip: '10.0.0.250/24' },
        ],
      }),
  ],
  ['check-fails', (p) => void p.network.forced.set('10.0.0.103:80', 'refused')],
  [
    'check-elsewhere',
    (p) => {
      yaml(p, 'http://10.0.0.104/', 'http://10.0.0.200/');
      p.network.outside.add('10.0.0.200:80');
    },
  ],
  [
    'backup-missing',
    (p) => void (p.world = { ...p.world, backups: (p.world.backups ?? []).filter((b) => b.vmid !== 102) }),
  ],
  [
    'backup-old',
    (p) =>
      void (p.world = {
        ...p.world,
        backups: (p.world.backups ?? []).map((b) => (b.vmid === 103 ? { ...b, ageSeconds: 30 * 3600 } : b)),
      }),
  ],
  ['backup-unusable', (p) => entry(p, 'ct5', 'macs: ["02:00:00:00:00:01"]')],
  ['backup-job-missing', (p) => jobOf(p, 101, null)],
  ['backup-job-disabled', (p) => jobOf(p, 102, { enabled: false })],
  ['backup-job-elsewhere', (p) => jobOf(p, 103, { storage: 'other' })],
  ['backup-job-rare', (p) => jobOf(p, 104, { schedule: 'sun 03:00' })],
  ['backup-job-prunes', (p) => jobOf(p, 105, { prune: { 'keep-last': 1 } })],
];
