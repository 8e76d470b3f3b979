import { nodeUsage } from './guest-view.ts';
import type { Route } from './route.ts';
import { versionOf } from './routes-cluster.ts';

export const nodeStatusRoute: Route = {
  endpoint: 'GET /nodes/{node}/status',
  demands: ['/nodes/{node}', 'Sys.Audit'],
  answer: ({ world, node }) => {
    const usage = nodeUsage(world, node);
    const kernel = {
      sysname: 'Linux',
      release: '6.8.12-9-pve',
      machine: 'x86_64',
      version: '#1 SMP PREEMPT_DYNAMIC PMX',
    };
    return {
      uptime: usage.uptime,
      cpu: usage.cpu,
      wait: 0,
      idle: 0,
      loadavg: ['0.22', '0.42', '0.43'],
      memory: { total: usage.maxmem, used: usage.mem, free: usage.maxmem - usage.mem },
      swap: { total: 0, used: 0, free: 0 },
      rootfs: {
        total: usage.maxdisk,
        used: usage.disk,
        avail: usage.maxdisk - usage.disk,
        free: usage.maxdisk - usage.disk,
      },
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
  },
};
