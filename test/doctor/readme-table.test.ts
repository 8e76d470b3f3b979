/**
 * The README's table of what happens on the usual hardware is made by doctor itself on a lab of that hardware.
 * `UPDATE_README=1 npm test -- doctor/readme` writes it anew.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { EventKind } from '../../lib/decide/doctor/consequences.ts';
import { outcomes } from '../../lib/tell/consequences.ts';
import { healthyInventory, healthyWorld, visit, type Patient } from './clinic.ts';
import { unplugged } from './plants.ts';

const FILE = 'README.md';
const BEGIN = '<!-- made by test/doctor/readme-table.test.ts -->';
const END = '<!-- end -->';

/** Usual hardware, by the name of its line. */
const SETUPS: readonly (readonly [string, (patient: Patient) => void])[] = [
  ['three nodes, smart plugs', (p) => nodes(p, [1, 2, 3])],
  [
    'three nodes, no plugs',
    (p) => {
      nodes(p, [1, 2, 3]);
      p.files['home.yaml'] = unplugged(p.files['home.yaml'] ?? '');
    },
  ],
  [
    'three nodes, no plugs, `proof: offline-accepted`',
    (p) => {
      nodes(p, [1, 2, 3]);
      p.files['home.yaml'] = unplugged(p.files['home.yaml'] ?? '').replace(
        'auto: true',
        'auto: true, proof: offline-accepted',
      );
    },
  ],
  [
    'three nodes, smart plugs, Proxmox VE 9',
    (p) => {
      nodes(p, [1, 2, 3]);
      p.world = { ...p.world, version: '9.1.2' };
    },
  ],
  ['two nodes, smart plugs', (p) => nodes(p, [1, 2])],
  [
    'two nodes and a QDevice, smart plugs',
    (p) => {
      nodes(p, [1, 2]);
      p.world = { ...p.world, qdevice: { host: '10.0.0.9' } };
    },
  ],
  ['two stand-alone nodes and a NAS, `autostart: proxwarden`', (p) => alone(p, 'autostart: proxwarden')],
  ['two stand-alone nodes and a NAS, `returnRisk: accepted`', (p) => alone(p, 'returnRisk: accepted')],
];

/** Each may take what is on the other; a person's word is taken for both. */
function alone(patient: Patient, failover: string): void {
  const [first, second] = [1, 2].map((n) => {
    const world = healthyWorld([n], null);
    return {
      ...world,
      containers: world.containers.map((c) => ({ ...c, onboot: failover === 'returnRisk: accepted' })),
      storages: world.storages.map((s) => (s.id === 'nas' ? { ...s, export: 'nas' } : s)),
    };
  });
  if (first === undefined || second === undefined) throw new Error('two worlds');
  patient.world = first;
  patient.others.push(second);
  const file = (n: number, other: number): string =>
    unplugged(healthyInventory([n]))
      .replace('cluster: home', `cluster: pve${n}`)
      .replace('nodes: [pve', `nodes: [pve${other}/pve`)
      .replace(`/pve${n}]`, `/pve${other}]`)
      .replace('auto: true', `auto: true, ${failover}`);
  patient.files['home.yaml'] = file(1, 2);
  patient.files['other.yaml'] = file(2, 1);
}

function nodes(patient: Patient, which: readonly number[]): void {
  patient.world = healthyWorld(which);
  patient.files['home.yaml'] = healthyInventory(which);
}

async function row(name: string, plant: (patient: Patient) => void): Promise<string> {
  const { diagnosis, facts } = await visit(plant);
  const cell = (event: EventKind): string => {
    const ours = diagnosis.consequences.filter((one) => one.container === 'ct1');
    const [outcome] = outcomes(
      // What is said of a cut node rests on what happens when it dies.
      ours.filter((one) => one.event === event || (event === 'node-cut-off' && one.event === 'node-dies')),
      facts.at,
    ).filter((one) => event !== 'node-cut-off' || one.event.endsWith('is cut off'));
    assert.ok(outcome !== undefined, `${name}: ${event}`);
    const typed = outcome.commands.map((command) => `\`${command}\``).join(', then ');
    const remedy = outcome.remedy === null ? '' : ` → ${outcome.remedy}`;
    return `${outcome.text}${typed === '' ? '' : `: ${typed}`}${remedy}`.replaceAll('|', '\\|');
  };
  return `| ${name} | ${cell('node-dies')} | ${cell('service-dies')} | ${cell('node-cut-off')} |`;
}

test('the README says of the usual hardware what doctor says of it', async () => {
  const rows: string[] = [];
  for (const [name, plant] of SETUPS) rows.push(await row(name, plant));
  const table = [
    '| your hardware | a dead node | a dead service | a node cut off from the others |',
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
  const readme = readFileSync(FILE, 'utf8');
  const [before = '', rest = ''] = readme.split(BEGIN);
  const after = rest.slice(rest.indexOf(END));
  const wanted = `${before}${BEGIN}\n\n${table}\n\n${after}`;
  if (process.env['UPDATE_README'] === '1' && rest !== '') writeFileSync(FILE, wanted);
  else assert.equal(readme, wanted, 'run it with UPDATE_README=1');
});
