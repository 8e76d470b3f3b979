/**
 * The parameters of every endpoint that the lab has, taken from the API schema of Proxmox VE 9.1: `name:type`, a `!`
 * after the name when it must be given, `@9` where 8.4 doesn't know it yet (Proxmox's release notes; unmeasured), `^storage` where storage must come with it. Types: int(min,max), num(min,max), bool, list, enum(a|b), props (a property
 * string such as net0's), or a format of Proxmox; `<N` is the longest length. `net[n]` stands for net0, net1, …
 */
export const PARAMETERS: Readonly<Record<string, string>> = {
  'GET /version': '',
  'GET /cluster/status': '',
  'GET /cluster/resources': 'type:enum(vm|storage|node|sdn)',
  'GET /cluster/tasks': '',
  'GET /cluster/nextid': 'vmid:int(100,999999999)',
  'GET /nodes': '',
  'GET /nodes/{node}/status': 'node!:pve-node',
  'POST /nodes/{node}/status': 'command!:enum(reboot|shutdown) node!:pve-node',
  'GET /nodes/{node}/netstat': 'node!:pve-node',
  'GET /nodes/{node}/network': `
    node!:pve-node
    type:enum(bridge|bond|eth|alias|vlan|fabric|OVSBridge|OVSBond|OVSPort|OVSIntPort|vnet|any_bridge|any_local_bridge|include_sdn)`,
  'GET /nodes/{node}/lxc': 'node!:pve-node',
  'GET /nodes/{node}/lxc/{vmid}/config':
    'current:bool node!:pve-node snapshot:pve-configid<40 vmid!:int(100,999999999)',
  'GET /nodes/{node}/lxc/{vmid}/interfaces': 'node!:pve-node vmid!:int(100,999999999)',
  'PUT /nodes/{node}/lxc/{vmid}/config': `
    arch:enum(amd64|i386|arm64|armhf|riscv32|riscv64) cmode:enum(shell|console|tty)
    console:bool cores:int(1,8192) cpulimit:num(0,8192) cpuunits:int(0,500000) debug:bool
    delete:pve-configid-list description:str<8192 dev[n]:props digest:str<40 entrypoint@9:str
    env@9:str features:props hookscript:pve-volume-id hostname:dns-name<255
    lock:enum(backup|create|destroyed|disk|fstrim|migrate|mounted|rollback|snapshot|snapshot-delete)
    memory:int(16,) mp[n]:props nameserver:lxc-ip-with-ll-iface-list net[n]:props
    node!:pve-node onboot:bool
    ostype:enum(debian|devuan|ubuntu|centos|fedora|opensuse|archlinux|alpine|gentoo|nixos|unmanaged)
    protection:bool revert:pve-configid-list rootfs:props searchdomain:dns-name-list
    startup:pve-startup-order swap:int(0,) tags:pve-tag-list template:bool
    timezone:pve-ct-timezone tty:int(0,6) unprivileged:bool unused[n]:props
    vmid!:int(100,999999999)`,
  'GET /nodes/{node}/lxc/{vmid}/status/current': 'node!:pve-node vmid!:int(100,999999999)',
  'POST /nodes/{node}/lxc/{vmid}/status/start':
    'debug:bool node!:pve-node skiplock:bool vmid!:int(100,999999999)',
  'POST /nodes/{node}/lxc/{vmid}/status/stop':
    'node!:pve-node overrule-shutdown:bool skiplock:bool vmid!:int(100,999999999)',
  'POST /nodes/{node}/lxc/{vmid}/status/shutdown':
    'forceStop:bool node!:pve-node timeout:int(0,) vmid!:int(100,999999999)',
  'POST /nodes/{node}/lxc/{vmid}/status/reboot': 'node!:pve-node timeout:int(0,) vmid!:int(100,999999999)',
  'POST /nodes/{node}/lxc': `
    arch:enum(amd64|i386|arm64|armhf|riscv32|riscv64) bwlimit:num(0,)
    cmode:enum(shell|console|tty) console:bool cores:int(1,8192) cpulimit:num(0,8192)
    cpuunits:int(0,500000) debug:bool description:str<8192 dev[n]:props entrypoint@9:str
    env@9:str features:props force:bool ha-managed:bool hookscript:pve-volume-id
    hostname:dns-name<255 ignore-unpack-errors:bool
    lock:enum(backup|create|destroyed|disk|fstrim|migrate|mounted|rollback|snapshot|snapshot-delete)
    memory:int(16,) mp[n]:props nameserver:lxc-ip-with-ll-iface-list net[n]:props
    node!:pve-node onboot:bool ostemplate!:str<255
    ostype:enum(debian|devuan|ubuntu|centos|fedora|opensuse|archlinux|alpine|gentoo|nixos|unmanaged)
    password:str pool:pve-poolid protection:bool restore:bool rootfs:props
    searchdomain:dns-name-list ssh-public-keys:str start:bool startup:pve-startup-order
    storage:pve-storage-id swap:int(0,) tags:pve-tag-list template:bool
    timezone:pve-ct-timezone tty:int(0,6) unique^restore:bool unprivileged:bool unused[n]:props
    vmid!:int(100,999999999)`,
  'DELETE /nodes/{node}/lxc/{vmid}': `
    destroy-unreferenced-disks:bool force:bool node!:pve-node purge:bool
    vmid!:int(100,999999999)`,
  'POST /nodes/{node}/vzdump': `
    all:bool bwlimit:int(0,) compress:enum(0|1|gzip|lzo|zstd) dumpdir:str
    exclude:pve-vmid-list exclude-path:list fleecing:backup-fleecing ionice:int(0,8)
    job-id:str<50 lockwait:int(0,) mailnotification:enum(always|failure)
    mailto:email-or-username-list maxfiles:int(1,) mode:enum(snapshot|suspend|stop)
    node:pve-node notes-template^storage:str<1024
    notification-mode:enum(auto|legacy-sendmail|notification-system)
    pbs-change-detection-mode:enum(legacy|data|metadata) performance:backup-performance
    pigz:int pool:str protected^storage:bool prune-backups:prune-backups quiet:bool remove:bool
    script:str stdexcludes:bool stdout:bool stop:bool stopwait:int(0,)
    storage:pve-storage-id tmpdir:str vmid:pve-vmid-list zstd:int`,
  'GET /nodes/{node}/vzdump/extractconfig': 'node!:pve-node volume!:str',
  'GET /nodes/{node}/storage': `
    content:pve-storage-content-list enabled:bool format:bool node!:pve-node
    storage:pve-storage-id target:pve-node`,
  'GET /nodes/{node}/storage/{storage}/status': 'node!:pve-node storage!:pve-storage-id',
  'GET /nodes/{node}/storage/{storage}/content': `
    content:pve-storage-content node!:pve-node storage!:pve-storage-id
    vmid:int(100,999999999)`,
  'GET /nodes/{node}/storage/{storage}/content/{volume}': 'node!:pve-node storage:pve-storage-id volume!:str',
  'PUT /nodes/{node}/storage/{storage}/content/{volume}':
    'node!:pve-node notes:str protected:bool storage:pve-storage-id volume!:str',
  'DELETE /nodes/{node}/storage/{storage}/content/{volume}':
    'delay:int(1,30) node!:pve-node storage:pve-storage-id volume!:str',
  'GET /nodes/{node}/tasks': `
    errors:bool limit:int(0,) node!:pve-node since:int source:enum(archive|active|all)
    start:int(0,) statusfilter:pve-task-status-type-list typefilter:str until:int
    userfilter:str vmid:int(100,999999999)`,
  'GET /nodes/{node}/tasks/{upid}/status': 'node!:pve-node upid!:str',
  'GET /nodes/{node}/tasks/{upid}/log': 'download:bool limit:int(0,) node!:pve-node start:int(0,) upid!:str',
  'DELETE /nodes/{node}/tasks/{upid}': 'node!:pve-node upid!:str',
  'GET /storage': `
    type:enum(btrfs|cephfs|cifs|dir|esxi|iscsi|iscsidirect|lvm|lvmthin|nfs|pbs|rbd|zfs|zfspool)`,
  'GET /cluster/ha/resources': 'type:enum(ct|vm)',
  'POST /cluster/ha/resources': `
    comment:str<4096 failback@9:bool group:pve-configid max_relocate:int(0,)
    max_restart:int(0,) sid!:pve-ha-resource-or-vm-id
    state:enum(started|stopped|enabled|disabled|ignored) type:enum(ct|vm)`,
  'GET /cluster/ha/resources/{sid}': 'sid!:pve-ha-resource-or-vm-id',
  'PUT /cluster/ha/resources/{sid}': `
    comment:str<4096 delete:pve-configid-list<4096 digest:str<64 failback@9:bool
    group:pve-configid max_relocate:int(0,) max_restart:int(0,)
    sid!:pve-ha-resource-or-vm-id state:enum(started|stopped|enabled|disabled|ignored)`,
  'DELETE /cluster/ha/resources/{sid}': 'purge@9:bool sid!:pve-ha-resource-or-vm-id',
  'GET /cluster/ha/groups': '',
  'POST /cluster/ha/groups': `
    comment:str<4096 group!:pve-configid nodes!:pve-ha-node-list nofailback:bool
    restricted:bool type:enum(group)`,
  'GET /cluster/ha/groups/{group}': 'group!:pve-configid',
  'DELETE /cluster/ha/groups/{group}': 'group!:pve-configid',
  'GET /cluster/ha/rules': 'resource:str type:enum(node-affinity|resource-affinity)',
  'POST /cluster/ha/rules': `
    affinity:enum(positive|negative) comment:str<4096 disable:bool nodes:pve-ha-node-list
    resources!:pve-ha-resource-id-list rule!:pve-configid strict:bool
    type!:enum(node-affinity|resource-affinity)`,
  'DELETE /cluster/ha/rules/{rule}': 'rule!:pve-configid',
  'GET /cluster/ha/status/current': '',
  'GET /cluster/ha/status/manager_status': '',
  'GET /access/permissions': 'path:str userid:str',
  'GET /access/users/{userid}/token/{tokenid}': 'tokenid!:str userid!:pve-userid<64',
  'GET /cluster/backup': '',
  'GET /cluster/backup/{id}/included_volumes': 'id!:str<50',
  'GET /cluster/config/nodes': '',
  'GET /cluster/config/qdevice': '',
  'GET /cluster/replication': '',
  'GET /nodes/{node}/time': 'node!:pve-node',
  'GET /nodes/{node}/version': 'node!:pve-node',
  'GET /access/ticket': '',
  'POST /access/ticket': `
    new-format:bool otp:str password!:str path^privs:str<64 privs^path:pve-priv-list<64
    realm:pve-realm<32 tfa-challenge:str username!:str<64`,
};
