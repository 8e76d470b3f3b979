/** Every call of the client, with every shape of its arguments. */
import type { PveApi } from '../../lib/pve/api.ts';

export const VOLID = 'nas:backup/vzdump-lxc-101-2026_11_22-20_16_47.tar.zst';
const TOKEN_UPID = 'UPID:pve1:000032D1:00062E73:6B0352A7:vzdump:401:proxwarden@pve!ha:';
/** Each method with every shape of its arguments. A method that is missing here does not compile. */
export const DRIVES: {
  readonly [M in Exclude<keyof PveApi, 'cluster' | 'endpoints' | 'useEndpoint' | 'close'>]: readonly ((
    api: PveApi,
  ) => Promise<unknown>)[];
} = {
  endpointView: [(api) => api.endpointView(api.endpoints[0] ?? '')],
  survey: [
    (api) => api.survey.names(),
    (api) => api.survey.certificates(),
    (api) => api.survey.config('pve1', 101),
    (api) => api.survey.addresses('pve1', 101),
    (api) => api.survey.storageServers(),
  ],
  version: [(api) => api.version()],
  resources: [(api) => api.resources()],
  nodeAnswers: [(api) => api.nodeAnswers('pve1')],
  netstat: [(api) => api.netstat('pve-1')],
  nodeFacts: [(api) => api.nodeFacts('pve2')],
  guestDetail: [(api) => api.guestDetail('pve1', 101)],
  inspect: [
    (api) => api.inspect.nodeTime('pve1'),
    (api) => api.inspect.nodeVersion('pve1'),
    (api) => api.inspect.privileges(),
    (api) => api.inspect.token('proxwarden@pve', 'cli'),
    (api) => api.inspect.backupJobs(),
    (api) => api.inspect.storages(),
    (api) => api.inspect.votes(),
    (api) => api.inspect.qdevice(),
    (api) => api.inspect.replicated(),
  ],
  permissions: [(api) => api.permissions()],
  haResources: [(api) => api.haResources()],
  haGroups: [(api) => api.haGroups()],
  haLrms: [(api) => api.haLrms()],
  haMaintenance: [(api) => api.haMaintenance()],
  createHaGroup: [(api) => api.createHaGroup('pw-guard-pve3', ['pve3', 'pve2'])],
  createHaResource: [
    (api) =>
      api.createHaResource('ct:101', { state: 'disabled', group: 'pw-guard-pve3', comment: 'by ProxWarden' }),
    (api) => api.createHaResource('ct:101', { state: 'ignored', comment: 'by ProxWarden' }),
  ],
  haRules: [(api) => api.haRules()],
  createHaRule: [
    (api) =>
      api.createHaRule('pw-guard-pve3-101', {
        nodes: ['pve3', 'pve2'],
        resources: ['ct:101', 'ct:102'],
        comment: 'by ProxWarden',
      }),
  ],
  deleteHaRule: [(api) => api.deleteHaRule('pw-guard-pve3-101')],
  setHaState: [(api) => api.setHaState('ct:101', 'disabled'), (api) => api.setHaState('ct:101', 'ignored')],
  deleteHaResource: [(api) => api.deleteHaResource('ct:101')],
  deleteHaGroup: [(api) => api.deleteHaGroup('pw-guard-pve3')],
  backups: [(api) => api.backups('pve1', 'nas'), (api) => api.backups('pve1', 'nas', { vmid: 101 })],
  archivedConfig: [(api) => api.archivedConfig('pve1', VOLID)],
  protectBackup: [
    (api) => api.protectBackup('pve1', VOLID, true),
    (api) => api.protectBackup('pve1', 'pbs:backup/ct/101/2026-11-22T20:16:47Z', false),
  ],
  deleteBackup: [
    (api) => api.deleteBackup('pve1', VOLID),
    (api) => api.deleteBackup('pve1', 'pbs:backup/ct/101/2026-11-22T20:16:47Z'),
  ],
  powerTasks: [(api) => api.powerTasks()],
  nodePowerTasks: [(api) => api.nodePowerTasks('pve1')],
  runningTasks: [(api) => api.runningTasks('pve1', 'vzdump')],
  vzdump: (['snapshot', 'suspend', 'stop'] as const).map(
    (mode) => (api) =>
      api.vzdump('pve1', {
        vmid: 101,
        storage: 'nas',
        mode,
        notes: 'dns\nüö \\'.repeat(300),
        prune: mode === 'stop',
      }),
  ),
  restore: [
    (api) =>
      api.restore('pve2', {
        vmid: 1000101,
        volid: VOLID,
        storage: 'local-lvm',
        description: 'x'.repeat(8000),
        tags: ['proxwarden', 'a'],
        mounts: null,
      }),
    (api) =>
      api.restore('pve2', {
        vmid: 1000101,
        volid: VOLID,
        storage: 'local-lvm',
        description: '',
        tags: [],
        mounts: {
          rootfs: 'local-lvm:8,mountoptions=noatime;discard,acl=1',
          mp0: 'big:0.25,mp=/var/lib data,backup=1,ro=1',
        },
      }),
  ],
  start: [(api) => api.start('pve1', 101)],
  stop: [(api) => api.stop('pve1', 999999999)],
  shutdown: [(api) => api.shutdown('pve1', 101, 60)],
  destroy: [(api) => api.destroy('pve1', 101)],
  setConfig: [
    (api) => api.setConfig('pve1', 101, { onboot: true }),
    (api) => api.setConfig('pve1', 101, { protection: false }),
    (api) => api.setConfig('pve1', 101, { onboot: false, tags: ['a', 'proxwarden'], description: 'ß\n' }),
    (api) => api.setConfig('pve1', 101, { tags: [], description: '' }),
  ],
  volumes: [(api) => api.volumes('pve1', 'local', 101)],
  powerNode: [(api) => api.powerNode('pve1', 'reboot'), (api) => api.powerNode('pve1', 'shutdown')],
  stopTask: [(api) => api.stopTask(TOKEN_UPID)],
  taskStatus: [(api) => api.taskStatus(TOKEN_UPID)],
  taskLog: [(api) => api.taskLog(TOKEN_UPID), (api) => api.taskLog(TOKEN_UPID, { start: 700 })],
  tasks: [
    (api) => api.tasks('pve1', { vmid: 101, since: 1_795_378_607_123 }),
    (api) => api.tasks('pve1', { vmid: 101, since: 0, type: 'vzdump' }),
  ],
};
