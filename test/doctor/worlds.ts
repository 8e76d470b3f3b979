import { formatLineage, TAG } from '../../lib/decide/lineage.ts';
import type { LabResponse, StorageSpec } from '../../lib/lab/types.ts';
import { emptyContainerState } from '../../lib/state/model.ts';
import type { Trap } from '../scenarios/harness/staged-lab.ts';
import { healthyInventory, healthyWorld, print, type Patient } from './clinic.ts';
import { container, entry, fs, jobOf, rights, unplugged, yaml, type Fault } from './plants.ts';

/** What can't be there together with the others: another size of cluster, another access, things that are only notes. */
export const WORLDS: readonly Fault[] = [
  ['state-volatile', (p) => fs(p, { kind: 'volatile', type: 'overlay' })],
  ['state-shared', (p) => fs(p, { kind: 'shared', type: 'nfs4' })],
  ['state-untried', (p) => fs(p, { kind: 'unknown', type: null })],
  [
    'runner-alone',
    (p) => {
      fs(p, { kind: 'cluster', type: 'pmxcfs' });
      // It is a node itself, which then is as it should be.
      p.runner = { ...p.runner, addresses: ['10.0.0.15'] };
      p.state.runners = { pve5: Date.UTC(2026, 10, 22, 12), pve6: Date.UTC(2026, 10, 22, 11, 50) };
    },
  ],
  ['canaries-none', (p) => yaml(p, /canaries:.*/, 'canaries: []')],
  ['canaries-one', (p) => yaml(p, /canaries:.*/, 'canaries: [tcp:10.0.0.1:53]')],
  [
    'canary-inside',
    (p) => {
      yaml(p, /canaries:.*/, 'canaries: [tcp:10.0.0.12:8006, tcp:10.0.0.102:80, tcp:10.0.0.1:53]');
      p.network.outside.add('10.0.0.12:8006');
    },
  ],
  // A token that may not even see the cluster is told what it lacks.
  ['privilege-missing', (p) => rights(p, '/', () => [])],
  [
    'credential-unusable',
    (p) =>
      void p.credentials.set('home', {
        problem: { text: 'the secret file x can be read by others', fix: 'chmod 600 x' },
      }),
  ],
  [
    'token-refused',
    (p) => void (p.world = { ...p.world, tokens: p.world.tokens.map((t) => ({ ...t, secret: 'another' })) }),
  ],
  ['endpoint-silent', (p) => trap(p, /status @pve2$/, () => 'lost')],
  [
    'endpoint-no-quorum',
    (p) =>
      trap(p, /GET .cluster.status @pve6$/, () =>
        reply([
          { type: 'cluster', name: 'home', quorate: 0 },
          { type: 'node', name: 'pve6', online: 1, local: 1, ip: '10.0.0.16' },
        ]),
      ),
  ],
  [
    'endpoint-foreign',
    (p) => {
      p.others.push({ ...healthyWorld([8], null), containers: [], backups: [] });
      yaml(p, 'https://10.0.0.16:8006', 'https://10.0.0.16:8006, https://10.0.0.18:8006');
    },
  ],
  [
    'tls-mismatch',
    (p) => {
      pin(p, 'another');
      p.refuse = () => 'its certificate fingerprint is another';
    },
  ],
  [
    'tls-fingerprint-shared',
    (p) => {
      pin(p, 'https://10.0.0.11:8006');
      p.refuse = (endpoint) =>
        endpoint.includes('10.0.0.11') ? null : 'its certificate fingerprint is another';
    },
  ],
  [
    'cluster-unseen',
    (p) => {
      small(p);
      dead(p, 'pve2');
    },
    'endpoint-silent',
  ],
  ['quorum-fragile', (p) => small(p)],
  ['qdevice-lost', (p) => small(p, { host: '10.0.0.9', connected: false }), 'quorum-fragile'],
  ['version-unmeasured', (p) => void (p.world = { ...p.world, version: '9.1.2' }), 'onboot-unguarded'],
  ['onboot-unguarded', (p) => rights(p, '/', () => ['Sys.Audit']), 'privilege-missing'],
  ['two-copies', (p) => yaml(p, 'auto: true', 'auto: true, proof: offline-accepted')],
  ['autostart-ours', (p) => yaml(p, 'auto: true', 'auto: true, autostart: proxwarden')],
  [
    'standalone',
    (p) => {
      p.world = healthyWorld([1], null);
      p.files['home.yaml'] = healthyInventory([1]);
    },
  ],
  ['unread', (p) => trap(p, /GET .cluster.backup /, () => reply(null, 500, 'no such thing'))],
  [
    'node-offline',
    (p) => {
      dead(p, 'pve6');
      // What earlier runs have seen of it, without which its backups can't be told from another's.
      const macs = ['BC:24:11:00:00:6A'];
      const identity = {
        cluster: 'home',
        vmid: 106,
        macs,
        ips: [],
        onboot: true,
        memMax: null,
        readAt: 0,
      };
      p.state.containers['ct6'] = { ...emptyContainerState(), identity };
    },
    'endpoint-silent',
    'check-fails',
  ],
  ['container-template', (p) => container(p, 105, { template: true, running: false }), 'check-fails'],
  ['container-stopped', (p) => void p.meanwhile.push((lab) => lab.stopByHand(105)), 'check-fails'],
  [
    'drift',
    (p) => {
      const description = formatLineage({
        container: 'other',
        cluster: 'home',
        node: 'pve2',
        vmid: 1_000_101,
        epoch: 1,
        supersedes: 'pve1/150@0',
        operation: 'op',
        source: 'nas:x',
        phase: 'live',
        at: 0,
      });
      const copy = { vmid: 1_000_101, node: 'pve2', hostname: 'other', tags: [TAG], description };
      p.world = { ...p.world, containers: [...p.world.containers, copy] };
    },
    'vmid-taken',
  ],
  ['storage-content', (p) => void (p.world = storages(p, 'nas', { content: ['iso'] })), 'backup-missing'],
  ['restore-blocked', (p) => container(p, 105, { diskMiB: 300_000 })],
  ['restore-blocked', (p) => entry(p, 'ct1', 'failover: { restoreStorage: nas }')],
  ['restore-blocked', (p) => container(p, 104, { config: { mp0: '/srv/data,mp=/data' } })],
  ['candidate-none', (p) => yaml(p, 'nodes: [pve2]', 'nodes: [pve1]')],
  ['cron-never', (p) => void (p.state.lastRunAt = null)],
  ['privilege-excess', (p) => rights(p, '/', (names) => [...names, 'Sys.Modify'])],
  [
    'fence-not-armed',
    (p) =>
      yaml(p, /( {2}pve1:\n {4}fence:\n) {6}- http:\n.*\n.*\n/, '$1      - ha-watchdog\n      - manual\n'),
  ],
  ['fence-manual', (p) => void (p.files['home.yaml'] = unplugged(p.files['home.yaml'] ?? '', 'pve6'))],
  [
    'bystanders',
    (p) =>
      void (p.world = {
        ...p.world,
        containers: [...p.world.containers, { vmid: 200, node: 'pve1', hostname: 'games', running: true }],
      }),
  ],
  ['replicated', (p) => void (p.world = { ...p.world, replicated: [101] })],
  [
    'disk-shared',
    (p) => {
      const san = { id: 'san', path: '/mnt/san', content: ['rootdir'], shared: true };
      p.world = { ...p.world, storages: [...p.world.storages, san] };
      container(p, 102, { storage: 'san' });
      rights(p, '/storage/san', () => ['Datastore.Audit']);
    },
  ],
  [
    'shell-silent',
    (p) => {
      withShell(p);
      entry(p, 'ct1', 'failover: { restoreVia: shell }');
      p.shell = (node) =>
        node === 'pve3'
          ? { kind: 'not-sent', why: 'ssh does not reach 10.0.0.13' }
          : { kind: 'ended', exitCode: 0, output: '' };
    },
  ],
  [
    'same-vmid-blocked',
    (p) => {
      withShell(p);
      entry(p, 'ct1', 'failover: { identity: same-vmid }');
      p.world = { ...p.world, replicated: [101] };
    },
    'replicated',
  ],
  ['auto-off', (p) => entry(p, 'ct4', 'failover: { auto: false }')],
  ['backup-job-not-copies', (p) => jobOf(p, 104, {})],
];

function withShell(p: Patient): void {
  yaml(p, 'canaries:', 'shell: { ssh: { user: root } }\ncanaries:');
}

function storages(p: Patient, id: string, change: Partial<StorageSpec>): Patient['world'] {
  return { ...p.world, storages: p.world.storages.map((s) => (s.id === id ? { ...s, ...change } : s)) };
}

/** Two nodes, and perhaps a QDevice. */
export function small(patient: Patient, qdevice?: Patient['world']['qdevice']): void {
  patient.world = { ...healthyWorld([1, 2]), ...(qdevice === undefined ? {} : { qdevice }) };
  patient.files['home.yaml'] = healthyInventory([1, 2]);
}

function dead(patient: Patient, name: string): void {
  patient.meanwhile.push((lab, clock) => {
    lab.kill(name);
    return clock.sleep(20_000);
  });
}

function pin(patient: Patient, name: string): void {
  yaml(
    patient,
    'token: env:PROXWARDEN_TOKEN',
    `token: env:PROXWARDEN_TOKEN\n  tls: { fingerprint: "${print(name)}" }`,
  );
}

function trap(patient: Patient, pattern: RegExp, spring: Trap['spring']): void {
  patient.meanwhile.push((lab) => void lab.traps.push({ pattern, times: null, when: 'before', spring }));
}

function reply(data: unknown, status = 200, statusText = 'OK'): LabResponse {
  return {
    status,
    statusText,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data }),
  };
}
