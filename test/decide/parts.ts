/** Plain objects of the model, with harmless defaults: what the tests of decisions are made of. */
import type { ArchivedConfig } from '../../lib/decide/guest-config.ts';
import type {
  BackupView,
  GuestDetail,
  GuestView,
  Incarnation,
  Lineage,
  NodeView,
  ProbeResult,
} from '../../lib/decide/model.ts';
import { parseIncarnationKey } from '../../lib/decide/incarnations.ts';
import type { Container, FenceConfig } from '../../lib/inventory/types.ts';
import type { ContainerState } from '../../lib/state/model.ts';

export const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);
export const MINUTE = 60_000;
export const HOUR = 3_600_000;
export const GIB = 1024 ** 3;
export const MAC = 'BC:24:11:00:01:01';

/** An inventory entry, sections merged. */
export type ContainerPatch = Partial<Omit<Container, 'backup' | 'failover' | 'hooks'>> & {
  readonly backup?: Partial<Container['backup']>;
  readonly failover?: Partial<Container['failover']>;
  readonly hooks?: Partial<Container['hooks']>;
};

/** `dns`, vmid 101, automatic, P2 demanded, may go to pve2 and pve3. */
export function containerOf(patch: ContainerPatch = {}): Container {
  const vmid = patch.vmid ?? 101;
  return {
    name: 'dns',
    file: 'home.yaml',
    line: 1,
    cluster: 'home',
    vmid,
    mode: 'protect',
    priority: 100,
    nodes: [
      { cluster: 'home', node: 'pve2' },
      { cluster: 'home', node: 'pve3' },
    ],
    require: 'all',
    checks: [
      { kind: 'tcp', host: '10.0.0.53', port: 53, label: 'tcp 10.0.0.53:53', timeoutMs: 1000, attempts: 1 },
    ],
    intervalMs: MINUTE,
    failureThreshold: 3,
    recoveryThreshold: 2,
    rebootGraceMs: 15 * MINUTE,
    home: null,
    macs: [],
    ...patch,
    backup: {
      storage: 'nas',
      maxAgeMs: 24 * HOUR,
      beforeFailover: 'when-source-alive',
      requireVerified: false,
      mode: 'snapshot',
      keep: null,
      ...patch.backup,
    },
    failover: {
      auto: true,
      identity: 'new-vmid',
      proof: 'stopped',
      returnRisk: 'refused',
      autostart: 'pve',
      cooldownMs: HOUR,
      maxPerDay: 2,
      unseenRisk: 'refused',
      restoreStorage: 'local',
      mountStorage: {},
      restoreVia: 'api',
      acceptLoss: [],
      vmids: Array.from({ length: 9 }, (_, index) => (index + 1) * 1_000_000 + vmid),
      placement: 'order',
      maxAttempts: 2,
      verifyMs: 2 * MINUTE,
      restart: 1,
      ...patch.failover,
    },
    elsewhere: patch.elsewhere ?? {},
    hooks: { before: [], after: [], ...patch.hooks },
  };
}

export function nodeOf(name: string, patch: Partial<NodeView> = {}): NodeView {
  return {
    name,
    online: true,
    apiAnswers: true,
    ip: `10.0.0.1${name.slice(-1)}`,
    pingAnswers: null,
    memTotal: 16 * GIB,
    memUsed: 4 * GIB,
    uptimeSeconds: 86_400,
    netstat: [],
    bridges: null,
    machine: null,
    ...patch,
  };
}

export function guestOf(node: string, vmid: number, patch: Partial<GuestView> = {}): GuestView {
  return {
    vmid,
    type: 'lxc',
    node,
    name: `ct${vmid}`,
    status: 'running',
    tags: [],
    lock: null,
    template: false,
    memMax: GIB,
    diskUsed: null,
    ...patch,
  };
}

export function detailOf(node: string, vmid: number, patch: Partial<GuestDetail> = {}): GuestDetail {
  return {
    vmid,
    node,
    readAt: NOW,
    status: 'running',
    onboot: true,
    lock: null,
    protection: false,
    template: false,
    hostname: 'dns',
    macs: [MAC],
    ips: ['10.0.0.53'],
    description: '',
    tags: [],
    memMax: GIB,
    config: configOf(),
    lastTask: null,
    ...patch,
  };
}

/** An unprivileged container of 1 GiB with a root disk of 8 GiB on vmbr0. */
export function configOf(patch: Partial<ArchivedConfig> = {}): ArchivedConfig {
  return {
    privileged: false,
    protection: false,
    template: false,
    arch: 'amd64',
    memory: GIB,
    features: ['nesting'],
    hookscript: null,
    devices: [],
    raw: [],
    mounts: [
      {
        key: 'rootfs',
        kind: 'volume',
        source: 'local:101/vm-101-disk-0.raw',
        path: '/',
        bytes: 8 * GIB,
        backup: true,
        options: {},
      },
    ],
    nets: [{ key: 'net0', bridge: 'vmbr0', tag: null, trunks: null }],
    ...patch,
  };
}

export function lineOf(patch: Partial<Lineage> = {}): Lineage {
  return {
    container: 'dns',
    cluster: 'home',
    node: 'pve2',
    vmid: 1_000_101,
    epoch: 1,
    supersedes: 'pve1/101@0',
    operation: 'op-20261122T100000-aaaaaa',
    source: 'nas:backup/vzdump-lxc-101-2026_11_22-09_00_00.tar.zst',
    phase: 'live',
    at: NOW - 2 * HOUR,
    ...patch,
  };
}

export function incarnationOf(patch: Partial<Incarnation> = {}): Incarnation {
  return {
    cluster: 'home',
    node: 'pve1',
    vmid: 101,
    epoch: 0,
    phase: 'original',
    since: 0,
    operation: null,
    ...patch,
  };
}

/** The archive `nas:backup/ct101-60min`, of this container, one hour old. */
export function backupOf(patch: Partial<BackupView> & { readonly minutes?: number } = {}): BackupView {
  const { minutes = 60, vmid = 101, ...rest } = patch;
  return {
    cluster: 'home',
    storage: 'nas',
    volid: `nas:backup/ct${vmid}-${minutes}min`,
    vmid,
    at: NOW - minutes * MINUTE,
    size: GIB,
    notes: '',
    protected: false,
    verification: null,
    encrypted: null,
    unfinished: null,
    archived: {
      macs: [MAC],
      hostname: 'dns',
      onboot: true,
      lineage: null,
      description: '',
      tags: [],
      bridges: ['vmbr0'],
      ips: ['10.0.0.53'],
      config: configOf(),
    },
    problem: null,
    ...rest,
  };
}

export function archivedOf(patch: Partial<NonNullable<BackupView['archived']>>): BackupView['archived'] {
  const { archived } = backupOf();
  return archived === null ? null : { ...archived, ...patch };
}

export function probeOf(
  how: 'ok' | 'silent' | 'refused' | 'unasked',
  probe = 'tcp 10.0.0.53:53',
): ProbeResult {
  switch (how) {
    case 'ok':
      return { probe, ok: true, answered: true, latencyMs: 3, reason: 'answered in 3 ms', attempts: 1 };
    case 'refused':
      return { probe, ok: false, answered: true, latencyMs: 1, reason: 'connection refused', attempts: 1 };
    case 'unasked':
      return { ...probeOf('silent', probe), reason: 'name not found: dns.home', unknown: true };
    case 'silent':
      return {
        probe,
        ok: false,
        answered: false,
        latencyMs: null,
        reason: 'no answer within 1 s',
        attempts: 1,
      };
  }
}

/** A smart plug. */
export const HTTP_FENCE: FenceConfig = {
  driver: 'http',
  off: { url: 'http://10.0.0.9/off', method: 'POST' },
  status: { url: 'http://10.0.0.9/status', method: 'GET', field: 'power', off: 'off' },
  timeoutMs: 1000,
};

/** Freezes a value and everything in it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

/** What the state remembers of a container's config. */
export function identityOf(): NonNullable<ContainerState['identity']> {
  return {
    cluster: 'home',
    vmid: 101,
    macs: [MAC],
    ips: ['10.0.0.53'],
    onboot: true,
    memMax: GIB,
    readAt: NOW,
  };
}

/** A key as an incarnation of `home`. */
export function at(key: string, patch: Partial<Incarnation> = {}): Incarnation {
  const parsed = parseIncarnationKey(key);
  if (parsed === null) throw new Error(`${key} is no incarnation key`);
  const { cluster, ...place } = parsed;
  return incarnationOf({
    ...place,
    ...(cluster === null ? {} : { cluster }),
    phase: parsed.epoch === 0 ? 'original' : 'live',
    ...patch,
  });
}
