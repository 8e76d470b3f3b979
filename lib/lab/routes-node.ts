import { nodeUsage } from './guest-view.ts';
import { shutdownNode } from './power.ts';
import type { Call, Route } from './route.ts';
import { versionOf } from './routes-cluster.ts';

export const nodeRoutes: readonly Route[] = [
  { endpoint: 'GET /nodes/{node}/status', demands: ['/nodes/{node}', 'Sys.Audit'], answer: status },
  { endpoint: 'POST /nodes/{node}/status', demands: ['/nodes/{node}', 'Sys.PowerMgmt'], answer: power },
];

function status({ world, node }: Call): unknown {
  const usage = nodeUsage(world, node);
  const kernel = {
    sysname: 'Linux',
    release: '6.8.12-9-pve',
    machine: world.spec.nodes.find(({ name }) => name === node)?.machine ?? 'x86_64',
    version: '#1 SMP PREEMPT_DYNAMIC PMX',
  };
  const free = usage.maxdisk - usage.disk;
  return {
    uptime: usage.uptime,
    cpu: usage.cpu,
    wait: 0,
    idle: 0,
    loadavg: ['0.22', '0.42', '0.43'],
    memory: { total: usage.maxmem, used: usage.mem, free: usage.maxmem - usage.mem },
    swap: { total: 0, used: 0, free: 0 },
    rootfs: { total: usage.maxdisk, used: usage.disk, avail: free, free },
    ksm: { shared: 0 },
    cpuinfo: {
      model: 'lab',
      cores: 2,
      cpus: 2,
      sockets: 1,
      mhz: '2596.130',
      user_hz: 100,
      hvm: '',
      flags: 'fpu',
    },
    'boot-info': { mode: 'legacy-bios' },
    'current-kernel': kernel,
    kversion: `${kernel.sysname} ${kernel.release} ${kernel.version}`,
    pveversion: `pve-manager/${versionOf(world)}/2606ac850d46da29`,
  };
}

function power({ world, node, params }: Call): unknown {
  shutdownNode(world, node, { reboot: params.must('command') === 'reboot', by: 'API' });
  return null;
}
