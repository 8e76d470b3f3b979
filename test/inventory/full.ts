/** Something of everything that an inventory may say. */
export const FULL = `# yaml-language-server: $schema=./schema.json
cluster: home
api:
  endpoints: [https://10.0.0.11:8006, https://PVE2.example.org, "https://[fd00::13]:443/"]
  token: file:/etc/proxwarden/home.token
  tls: { fingerprint: "${'ab:'.repeat(31)}cd" }
canaries:
  - ping:10.0.0.1
  - tcp:[fd00::1]:8007
  - http:http://10.0.0.1/
  - dns:10.0.0.1/example.org
  - { tcp: "10.0.0.2:22", timeout: 1s, attempts: 1 }
nodes:
  pve1:
    fence:
      - http:
          off: { url: "http://10.0.0.90/rpc/Switch.Set", method: POST, body: '{"id":0,"on":false}' }
          status: { url: "http://10.0.0.90/rpc/Switch.GetStatus?id=0", field: output, off: false }
          user: admin
          password: env:PLUG_PASSWORD
      - manual: { valid: 10m }
  pve2: { fence: [manual] }
  pve4:
    fence:
      - agent: { name: fence_apc, options: { ip: 10.0.0.9, plug: 3, ssl: true }, password: env:A, secrets: { snmp_priv_passwd: env:B } }
      - redfish: { url: 'https://10.0.0.8/', user: op, password: env:C, system: "1", timeout: 5s }
  pve3:
defaults:
  interval: 30s
  backup: { storage: nas, maxAge: 12h }
  failover: { restoreStorage: local-lvm, auto: true }
  nodes: [pve3]
limits: { failoversPerRun: 1 }
hooks: { before: [hooks/notify], after: [{ path: hooks/notify, args: [after], timeout: 5s }] }
containers:
  dns:
    vmid: 101
    priority: 1
    nodes: [pve2, pve3, lab/pve9]
    macs: ["bc:24:11:00:00:01"]
    checks:
      - tcp: 10.0.0.53:53
      - dns: { server: 10.0.0.53, name: example.org }
      - dns: { server: "10.0.0.53:5353", name: example.org, type: AAAA }
      - http: { url: "http://10.0.0.53/admin", status: 200-399, body: "Pi-hole" }
      - http: http://10.0.0.53/?key=abc
      - http: { url: "https://10.0.0.53", status: [200, 300-302, "404"], method: HEAD, insecure: true }
      - ping: 10.0.0.53
      - exec: hooks/check_dns
        timeout: 10s
      - exec: { path: hooks/check_dns, args: [-v] }
        attempts: 1
    hooks: { after: [] }
`;
const PROGRAM = '#!/bin/sh\nexit 0\n';
/** The programs that it names. */
export const HOOKS = { 'hooks/notify': PROGRAM, 'hooks/check_dns': PROGRAM };
/** The other cluster that it names. */
export const LAB = 'cluster: lab\napi:\n  endpoints: [https://10.9.0.1]\n  token: env:LAB\n';
