import assert from 'node:assert/strict';
import { test } from 'node:test';
import { volumeBytes } from '../../lib/decide/guest-config.ts';
import { configFacts, configFromReply, configFromText } from '../../lib/pve/parse.ts';
import { archivedFrom, backupViews, lastPowerTask, taskEntries } from '../../lib/pve/guest.ts';
import { formatLineage } from '../../lib/decide/lineage.ts';
import { ContentReply, TasksReply } from '../../lib/pve/schemas.ts';

const NET = 'name=eth0,bridge=vmbr0,gw=10.88.0.254,hwaddr=bc:24:11:27:3a:83,ip=10.88.0.101/24,type=veth';

test('a config from the API: identity, switches, description', () => {
  const facts = configFacts(
    configFromReply({
      net0: NET,
      net1: 'name=eth1,bridge=vmbr1,hwaddr=BC:24:11:00:00:02,ip=dhcp,ip6=fd00::5/64',
      rootfs: 'local:101/vm-101-disk-0.raw,size=256M',
      memory: 128,
      onboot: 1,
      protection: 0,
      lock: 'backup',
      unprivileged: 1,
      tags: 'proxwarden;test',
      hostname: 'ct101',
      description: 'line1\r\nline2\n',
    }),
  );
  assert.deepEqual(facts, {
    hostname: 'ct101',
    onboot: true,
    lock: 'backup',
    protection: false,
    template: false,
    macs: ['BC:24:11:27:3A:83', 'BC:24:11:00:00:02'],
    ips: ['10.88.0.101', 'fd00::5'],
    bridges: ['vmbr0', 'vmbr1'],
    description: 'line1\nline2',
    tags: ['proxwarden', 'test'],
    memMax: 128 * 1024 * 1024,
    storages: ['local'],
    config: {
      privileged: false,
      protection: false,
      template: false,
      arch: null,
      memory: 128 * 1024 * 1024,
      features: [],
      hookscript: null,
      devices: [],
      raw: [],
      mounts: [
        {
          key: 'rootfs',
          kind: 'volume',
          source: 'local:101/vm-101-disk-0.raw',
          path: '/',
          bytes: 256 * 1024 * 1024,
          backup: true,
          options: {},
        },
      ],
      nets: [
        { key: 'net0', bridge: 'vmbr0', tag: null, trunks: null },
        { key: 'net1', bridge: 'vmbr1', tag: null, trunks: null },
      ],
    },
  });
});

test('without memory and disk sizes: PVE’s default, and no size at all', () => {
  const facts = configFacts(configFromText('unprivileged: 1\nrootfs: zfs:subvol-1\n'));
  assert.equal(facts.memMax, 512 * 1024 * 1024);
  assert.equal(volumeBytes(facts.config), null);
});

test('everything that a restore can trip over, as it is written', () => {
  const text = [
    'arch: arm64',
    'protection: 1',
    'rootfs: local:1/a.raw,size=8G,mountoptions=noatime;discard',
    'mp10: big:1/d.raw,mp=/ten,size=2T',
    'mp0: /srv/data,mp=/data,backup=1,ro=1',
    'mp1: volume=local:1/b.raw,mp=/var,backup=1,size=512M',
    'mp3: /dev/sdb,mp=/disk',
    'net0: name=eth0,bridge=vmbr1,tag=50,trunks=2;4,hwaddr=BC:24:11:00:00:01',
    'net1: name=eth1,link_down=1',
    'dev0: /dev/dri/renderD128,gid=44',
    'dev1: path=/dev/ttyUSB0,mode=0660',
    'features: nesting=1,keyctl=1,fuse=0,mount=nfs;cifs',
    'hookscript: local:snippets/hook.sh',
    'lxc.cgroup2.devices.allow: c 10:200 rwm',
    'lxc.mount.entry = /dev/net dev/net none bind',
  ].join('\n');
  const mount = { kind: 'volume', backup: true, options: {} };
  assert.deepEqual(configFacts(configFromText(text)).config, {
    privileged: true,
    protection: true,
    template: false,
    arch: 'arm64',
    memory: 512 * 1024 ** 2,
    features: ['nesting', 'keyctl', 'mount'],
    hookscript: 'local:snippets/hook.sh',
    devices: [
      { key: 'dev0', path: '/dev/dri/renderD128' },
      { key: 'dev1', path: '/dev/ttyUSB0' },
    ],
    raw: [
      { key: 'lxc.cgroup2.devices.allow', value: 'c 10:200 rwm' },
      { key: 'lxc.mount.entry', value: '/dev/net dev/net none bind' },
    ],
    mounts: [
      {
        ...mount,
        key: 'rootfs',
        source: 'local:1/a.raw',
        path: '/',
        bytes: 8 * 1024 ** 3,
        options: { mountoptions: 'noatime;discard' },
      },
      {
        ...mount,
        key: 'mp0',
        kind: 'bind',
        source: '/srv/data',
        path: '/data',
        bytes: null,
        backup: false,
        options: { ro: '1' },
      },
      { ...mount, key: 'mp1', source: 'local:1/b.raw', path: '/var', bytes: 512 * 1024 ** 2 },
      { ...mount, key: 'mp3', kind: 'device', source: '/dev/sdb', path: '/disk', bytes: null, backup: false },
      { ...mount, key: 'mp10', source: 'big:1/d.raw', path: '/ten', bytes: 2 * 1024 ** 4, backup: false },
    ],
    nets: [
      { key: 'net0', bridge: 'vmbr1', tag: 50, trunks: '2;4' },
      { key: 'net1', bridge: null, tag: null, trunks: null },
    ],
  });
});

test('raw lxc lines in the API’s form', () => {
  const facts = configFacts(
    configFromReply({ unprivileged: 1, features: 'nesting=1', lxc: [['lxc.idmap', 'u 0 100000 65536']] }),
  );
  assert.deepEqual(facts.config.raw, [{ key: 'lxc.idmap', value: 'u 0 100000 65536' }]);
  assert.equal(facts.config.privileged, false);
});

test('the config in an archive: percent-encoded description with a lineage line, snapshots ignored', () => {
  const lineage = {
    container: 'dns',
    cluster: 'home',
    node: 'pve2',
    vmid: 1000101,
    epoch: 1,
    supersedes: 'pve1/101@0',
    operation: 'op1',
    source: 'nas:backup/vzdump-lxc-101-2026_11_22-20_16_47.tar.zst',
    phase: 'live' as const,
    at: 1_795_000_000_000,
  };
  const encoded = formatLineage(lineage).replaceAll('%', '%25').replaceAll(':', '%3A');
  const text = `#caf%C3%A9 100%\n#${encoded}\narch: amd64\nhostname: ct101\nmemory: 256\nnet0: ${NET}\nonboot: 1\nrootfs: local:101/d.raw,size=1G\ntags: a;b\nunprivileged: 1\n\n[before]\nhostname: old\nonboot: 0\nnet0: name=eth0,hwaddr=AA:AA:AA:AA:AA:AA\n`;
  const archived = archivedFrom(text);
  assert.equal(archived.description.split('\n')[0], 'café 100%');
  assert.deepEqual(archived.lineage, lineage);
  assert.deepEqual(archived.macs, ['BC:24:11:27:3A:83']);
  assert.equal(archived.hostname, 'ct101');
  assert.equal(archived.onboot, true);
  assert.deepEqual(archived.tags, ['a', 'b']);
  assert.deepEqual(archived.bridges, ['vmbr0']);
  assert.equal(archived.config.memory, 256 * 1024 * 1024);
});

test('backups: containers only, PBS snapshots with their verification, times in ms', () => {
  const views = backupViews(
    { cluster: 'home', storage: 'pbs' },
    ContentReply.parse([
      {
        volid: 'pbs:backup/ct/101/2026-11-22T20:16:47Z',
        ctime: 1795378607,
        vmid: 101,
        size: '5',
        subtype: 'lxc',
        protected: 1,
        verification: { state: 'ok', upid: 'x' },
      },
      {
        volid: 'pbs:backup/vm/102/2026-11-22T20:16:47Z',
        ctime: 1795378607,
        vmid: 102,
        size: 5,
        subtype: 'qemu',
      },
      { volid: 'pbs:backup/ct/103/2026-11-22T20:16:47Z', ctime: 1795378607, size: 5 },
      { volid: 'nas:backup/vzdump-qemu-104-2026_11_22-20_16_47.vma', ctime: 1795378607, size: 5 },
      { volid: 'nas:backup/vzdump-lxc-105-2026_11_22-20_16_47.tar.zst', ctime: 1795378607, size: 5 },
    ]),
  );
  assert.deepEqual(
    views.map((view) => [view.vmid, view.at, view.size, view.protected, view.verification, view.archived]),
    [
      [101, 1795378607000, 5, true, 'ok', null],
      [103, 1795378607000, 5, false, null, null],
      [105, 1795378607000, 5, false, null, null],
    ],
  );
  assert.deepEqual([views[0]?.cluster, views[0]?.storage], ['home', 'pbs']);
});

test('the last power task: newest that has ended, with the token in its user', () => {
  const task = { node: 'pve1', id: '101', user: 'a@pve', status: 'OK' };
  const entries = taskEntries(
    TasksReply.parse([
      {
        ...task,
        upid: 'UPID:pve1:00000001:00000001:6B000003:vzdump:101:a@pve!x:',
        type: 'vzdump',
        starttime: 30,
        endtime: 31,
      },
      {
        ...task,
        upid: 'UPID:pve1:00000001:00000001:6B000002:vzstop:101:a@pve!x:',
        type: 'vzstop',
        starttime: 20,
        endtime: 21,
      },
      {
        ...task,
        upid: 'UPID:pve1:00000001:00000001:6B000001:vzstart:101:a@pve!x:',
        type: 'vzstart',
        starttime: 10,
        endtime: 11,
      },
      {
        ...task,
        upid: 'UPID:pve1:00000001:00000001:6B000004:vzstart:101:a@pve!x:',
        type: 'vzstart',
        starttime: 40,
        status: 'RUNNING',
      },
      {
        ...task,
        upid: 'UPID:pve1:00000001:00000001:6B000004:vzstart:101:a@pve!x:',
        type: 'vzstart',
        starttime: 40,
        status: 'RUNNING',
      },
    ]),
    'a@pve!y',
  );
  assert.equal(entries.length, 4);
  assert.equal(entries[3]?.exitstatus, null);
  assert.deepEqual(new Set(entries.map((e) => e.ours)), new Set([false]), 'another token is not us');
  assert.deepEqual(lastPowerTask(entries, { alone: true }), {
    type: 'vzstop',
    user: 'a@pve!x',
    startedAt: 20_000,
    endedAt: 21_000,
    ok: true,
  });
});
