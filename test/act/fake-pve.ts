/** The client's interface in front of a cluster in memory. */
import { parseLineage } from '../../lib/decide/lineage.ts';
import { PveError } from '../../lib/errors.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { archivedOf, backupOf, detailOf, GIB, guestOf, nodeOf } from '../decide/parts.ts';
import { refused, type FakePve } from './fake-world.ts';

/** Only doctor asks for these. */
const nothing = async (): Promise<never> => refused('the fake has no such call');
const uninspected: PveApi['inspect'] = {
  nodeTime: nothing,
  nodeVersion: nothing,
  privileges: nothing,
  token: nothing,
  backupJobs: nothing,
  storages: nothing,
  votes: nothing,
  qdevice: nothing,
  replicated: nothing,
};
/** Only init asks for these. */
const unsurveyed: PveApi['survey'] = {
  names: nothing,
  certificates: nothing,
  config: nothing,
  addresses: nothing,
  storageServers: nothing,
};

export function fakeApi(fake: FakePve, cluster = 'home'): PveApi {
  const endpoints = fake.nodes.map((n) => `https://${n.name}:8006`);
  const nodes = () => fake.nodes.map(({ name }) => ({ name, online: fake.alive(name), ip: null }));
  return {
    cluster,
    endpoints,
    inspect: {
      ...uninspected,
      replicated: () => Promise.resolve([...fake.replicated]),
      storages: async () =>
        (['local', 'nas'] as const).map((storage) => ({
          storage,
          type: 'dir',
          shared: storage === 'nas',
          disabled: false,
          retention: {},
          encryptionKey: null,
        })),
    },
    survey: unsurveyed,
    useEndpoint: (endpoint) => void (fake.via = new URL(endpoint).hostname),
    endpointView(endpoint) {
      fake.settle();
      const name = new URL(endpoint).hostname;
      const ok = fake.alive(name);
      return Promise.resolve({
        endpoint,
        ok,
        error: ok ? null : 'no answer',
        node: ok ? name : null,
        quorate: ok && fake.quorate && !fake.minority.has(name),
        online: ok
          ? nodes()
              .filter((n) => n.online)
              .map((n) => n.name)
          : [],
        standalone: false,
        nodes: nodes(),
        failure: ok ? null : 'network',
      });
    },
    version: () => Promise.resolve(fake.version),
    async resources() {
      fake.settle();
      return {
        nodes: fake.nodes.map(({ name }) => {
          const { memTotal, memUsed, uptimeSeconds } = nodeOf(name);
          return {
            name,
            status: fake.alive(name) ? 'online' : 'offline',
            memTotal,
            memUsed,
            uptimeSeconds,
          };
        }),
        guests: [...fake.guests.values()].map((g) =>
          guestOf(g.node, g.vmid, {
            status: g.running || !fake.alive(g.node) ? 'running' : 'stopped',
            tags: [...g.config.tags],
            lock: g.config.lock,
          }),
        ),
        storages: fake.nodes.flatMap(({ name }) => [
          {
            storage: 'local',
            node: name,
            active: true,
            shared: false,
            content: ['rootdir'],
            total: 100 * GIB,
            used: 0,
            type: 'dir',
          },
          {
            storage: 'nas',
            node: name,
            active: true,
            shared: true,
            content: ['backup'],
            total: 1000 * GIB,
            used: 0,
            type: 'dir',
          },
        ]),
      };
    },
    nodeAnswers: async (node) => fake.alive(node),
    async netstat(node) {
      if (!fake.alive(node)) throw new PveError('595', { outcome: 'refused', status: 595 });
      fake.settle();
      return [...fake.guests.values()].filter((g) => g.node === node && g.running).map((g) => g.vmid);
    },
    async guestDetail(node, vmid) {
      const guest = fake.on(node, vmid);
      return detailOf(node, vmid, {
        readAt: fake.clock.now(),
        status: guest.running ? 'running' : 'stopped',
        lastTask: guest.lastTask,
        ...structuredClone(guest.config),
      });
    },
    nodeFacts: async () => ({
      bridges: [{ name: 'vmbr0', vlanAware: false, hasPort: true, vids: null }],
      machine: 'x86_64',
    }),
    permissions: async () => ({ '/': fake.mayGuard ? ['Sys.Audit', 'Sys.Console'] : ['Sys.Audit'] }),
    haMaintenance: async () => [],
    haResources: async () => structuredClone(fake.ha),
    haGroups: async () => structuredClone(fake.groups),
    haLrms: async () => ({ masterAt: null, words: [] }),
    async createHaGroup(group, members) {
      fake.write(`create group ${group}`);
      fake.groups.push({ group, nodes: [...members], restricted: true });
    },
    async createHaResource(sid, settings) {
      fake.write(`create ha ${sid}`);
      fake.ha.push({ sid, group: null, ...settings });
    },
    haRules: async () => structuredClone(fake.rules),
    async createHaRule(rule, { nodes: bound, resources }) {
      fake.write(`create rule ${rule}`);
      if (!fake.ha.some((e) => resources.includes(e.sid))) refused('cannot use unmanaged resource(s)');
      const type = 'node-affinity';
      fake.rules.push({
        rule,
        type,
        nodes: [...bound],
        resources: [...resources],
        strict: true,
        disabled: false,
      });
    },
    async deleteHaRule(rule) {
      fake.write(`delete rule ${rule}`);
      const index = fake.rules.findIndex((r) => r.rule === rule);
      if (index >= 0) fake.rules.splice(index, 1);
    },
    async setHaState(sid, state) {
      fake.write(`set ha ${sid} ${state}`);
      const entry = fake.ha.find((e) => e.sid === sid);
      if (entry === undefined) refused(`no such resource '${sid}'`);
      Object.assign(entry, { state });
    },
    async deleteHaResource(sid) {
      fake.write(`delete ha ${sid}`);
      fake.ha.splice(
        fake.ha.findIndex((e) => e.sid === sid),
        1,
      );
    },
    async deleteHaGroup(group) {
      fake.write(`delete group ${group}`);
      fake.groups.splice(
        fake.groups.findIndex((g) => g.group === group),
        1,
      );
    },
    backups: async (_node, storage, options) =>
      structuredClone(
        fake.backups.filter((b) => b.storage === storage && (options?.vmid ?? b.vmid) === b.vmid),
      ).map((b) => ({ ...b, archived: null })),
    async archivedConfig(_node, volid) {
      const archived = fake.backups.find((b) => b.volid === volid)?.archived;
      return archived == null ? refused(`${volid} has no config`) : structuredClone(archived);
    },
    async protectBackup(_node, volid, on) {
      fake.write(`${on ? 'protect' : 'unprotect'} ${volid}`);
      for (const backup of fake.backups) if (backup.volid === volid) backup.protected = on;
    },
    async deleteBackup(_node, volid) {
      fake.write(`delete ${volid}`);
      const index = fake.backups.findIndex((b) => b.volid === volid);
      if (index >= 0) fake.backups.splice(index, 1);
      return null;
    },
    runningTasks: async (node, type) =>
      fake.tasks
        .filter((t) => t.node === node && t.type === type && t.exitstatus === null)
        .map((t) => ({
          upid: t.upid,
          node,
          type,
          id: String(t.vmid),
          user: 'proxwarden@pve!cli',
          ours: true,
          startedAt: t.startedAt,
          endedAt: null,
          exitstatus: null,
        })),
    vzdump: async (node, { vmid, storage, mode }) => {
      const file = `vzdump-lxc-${vmid}-${fake.tasks.length}.tar.zst`;
      const effect = (): void => {
        const { config } = fake.on(node, vmid);
        const lineage = parseLineage(config.description);
        const archived = archivedOf({
          macs: config.macs,
          description: config.description,
          lineage,
          onboot: config.onboot,
        });
        fake.backups.push(
          backupOf({ vmid, storage, volid: `${storage}:backup/${file}`, at: fake.clock.now(), archived }),
        );
      };
      return fake.task('vzdump', node, vmid, effect, [
        `INFO: creating vzdump archive '/dump/${file}'`,
        `INFO: mode ${mode}`,
      ]);
    },
    async restore(node, { vmid, volid, description, tags }) {
      const taken = fake.guests.get(vmid);
      if (taken !== undefined) refused(`CT ${vmid} already exists on node '${taken.node}'`);
      const archived = fake.backups.find((b) => b.volid === volid)?.archived;
      return fake.task('vzrestore', node, vmid, () => {
        if (archived == null) return `volume '${volid}' does not exist`;
        const config = { onboot: false, tags: [...tags], description, macs: [...archived.macs] };
        fake.add(node, vmid, { running: false, config });
        return undefined;
      });
    },
    start: async (node, vmid) => fake.task('vzstart', node, vmid, () => fake.start(node, vmid)),
    stop: async (node, vmid) => fake.task('vzstop', node, vmid, () => fake.stop('vzstop', node, vmid)),
    shutdown: async (node, vmid) =>
      fake.task('vzshutdown', node, vmid, () => fake.stop('vzshutdown', node, vmid)),
    destroy: async (node, vmid) =>
      fake.task('vzdestroy', node, vmid, () => void fake.guests.delete(fake.on(node, vmid).vmid)),
    async setConfig(node, vmid, changes) {
      fake.write(`config ${node}/${vmid} ${Object.keys(changes).toSorted().join(',')}`, node);
      Object.assign(fake.on(node, vmid).config, changes);
    },
    volumes: () => Promise.resolve([]),
    async powerNode(node, command) {
      fake.write(`${command} ${node}`, node);
      if (command === 'shutdown') fake.kill(node);
    },
    async stopTask(upid) {
      const task = fake.tasks.find((t) => t.upid === upid);
      fake.write(`stop task ${task?.type ?? upid}`, task?.node);
      if (task === undefined || task.effect === null) return;
      Object.assign(task, { effect: null, exitstatus: 'interrupted by signal' });
      task.log.push('TASK ERROR: interrupted by signal');
    },
    async taskStatus(upid) {
      fake.settle();
      const task = fake.tasks.find((t) => t.upid === upid);
      if (task === undefined) throw new PveError('no such task', { outcome: 'refused', status: 400 });
      return { upid, node: task.node, running: task.exitstatus === null, exitstatus: task.exitstatus };
    },
    taskLog: async (upid, options) =>
      fake.tasks.find((t) => t.upid === upid)?.log.slice(options?.start ?? 0) ?? [],
    async tasks(node, { vmid, since, type }) {
      if (!fake.alive(node)) throw new PveError('595', { outcome: 'not-sent', status: 595 });
      return fake.tasks
        .filter(
          (t) => t.node === node && t.vmid === vmid && t.startedAt >= since && (type ?? t.type) === t.type,
        )
        .map((t) => ({
          upid: t.upid,
          node,
          type: t.type,
          id: String(vmid),
          user: 'proxwarden@pve!cli',
          ours: true,
          startedAt: t.startedAt,
          endedAt: t.exitstatus === null ? null : t.endsAt,
          exitstatus: t.exitstatus,
        }));
    },
    // Nobody acts in this world but we.
    powerTasks: async () => [],
    nodePowerTasks: async () => [],
    close: async () => undefined,
  };
}
