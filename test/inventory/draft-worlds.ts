/** Clusters of every kind for fast-check, hostile words in every place. */
import fc from 'fast-check';
import type { Surveyed, SurveyedGuest } from '../../lib/inventory/draft.ts';

const HOSTILE = [
  '',
  'null',
  'true',
  '0x1F',
  '1e3',
  '-',
  '.inf',
  '~',
  '<<',
  '*a',
  '&a',
  '!tag',
  '# no',
  ': x',
  'a: b',
  '- x',
  '"',
  "'",
  '{',
  'constructor',
  '__proto__',
  'a\nREVIEW: x\nb: c',
  'a\r\nb',
  '\u001b[2J\u001b]0;x\u0007',
  '\u202Eevil',
  '\u2028x',
  'ünïcödé',
  'a'.repeat(300),
  'de8e2647-f2f8-4275-ab07-3de0b32f3302',
  'x.de8e2647-f2f8-4275-ab07-3de0b32f3302',
  '---',
  '...',
  '%YAML 1.1',
];
export const word = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.domain(),
);
const name = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('pve1', 'pve2', 'pve3') },
  { weight: 1, arbitrary: word },
);
const address = fc.oneof(fc.ipV4(), fc.ipV6(), word);
const vmid = fc.oneof(
  fc.integer({ min: 100, max: 103 }),
  fc.integer({ min: 1_000_100, max: 1_000_103 }),
  fc.integer({ min: 990_000_000, max: 990_000_003 }),
  fc.integer({ min: 100, max: 999_999_999 }),
);
const note = fc.record({ note: word, review: word }, { requiredKeys: [] });
const check = fc.oneof(
  fc.ipV4().map((ip) => ({ tcp: `${ip}:80` })),
  fc.ipV4().map((ip) => ({ http: { url: `http://${ip}/`, status: 401, insecure: true } })),
  fc.ipV6().map((ip) => ({ http: `http://[${ip}]:8080/` })),
  fc.ipV4().map((ip) => ({ dns: { server: ip, name: '.', type: 'NS' } })),
);
const guest: fc.Arbitrary<SurveyedGuest> = fc.record({
  vmid,
  node: name,
  hostname: word,
  running: fc.boolean(),
  tags: fc.array(fc.constantFrom('proxwarden', 'a'), { maxLength: 1 }),
  template: fc.constantFrom(false, false, false, true),
  lock: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: word }),
  managedByHa: fc.constantFrom(false, false, false, true),
  problem: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: word }),
  onboot: fc.boolean(),
  addresses: fc.array(address, { maxLength: 3 }),
  dynamic: fc.boolean(),
  gateways: fc.array(address, { maxLength: 1 }),
  obstacles: fc.array(word, { maxLength: 2 }),
  checks: fc.array(
    fc.tuple(check, note).map(([one, about]) => ({ check: one, ...about })),
    { maxLength: 2 },
  ),
});
const storages = fc.record({
  storage: fc.oneof(fc.constantFrom('nas', 'local', 'local-lvm'), word),
  node: name,
  active: fc.boolean(),
  shared: fc.boolean(),
  content: fc.subarray(['backup', 'rootdir', 'images']),
  total: fc.option(fc.nat()),
  used: fc.option(fc.nat()),
});
export const worlds: fc.Arbitrary<Surveyed> = fc.record({
  cluster: fc.option(word),
  nodes: fc.array(fc.record({ name, ip: fc.option(address), online: fc.boolean() }), { maxLength: 4 }),
  storages: fc.array(storages, { maxLength: 5 }),
  guests: fc.uniqueArray(guest, { maxLength: 6, selector: (one) => one.vmid }),
  vmids: fc.array(vmid, { maxLength: 3 }),
  virtualMachines: fc.nat(3),
  canaries: fc.array(
    fc.record({
      canary: fc.ipV4().map((ip) => `ping:${ip}`),
      note: word,
      silent: fc.option(word),
    }),
    { maxLength: 2 },
  ),
  problems: fc.array(word, { maxLength: 1 }),
});
