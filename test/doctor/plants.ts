/** What goes wrong, one thing at a time. */
import assert from 'node:assert/strict';
import type { FindingId } from '../../lib/decide/doctor/facts.ts';
import type { ContainerSpec } from '../../lib/lab/types.ts';
import type { Patient } from './clinic.ts';

/** The finding that it has to lead to, what is planted, and what else is found with it. */
export type Fault = readonly [FindingId, (patient: Patient) => void, ...alsoFound: FindingId[]];

export function yaml(patient: Patient, from: string | RegExp, to: string): void {
  const before = patient.files['home.yaml'] ?? '';
  const after = before.replace(from, to);
  assert.notEqual(after, before, `${String(from)} is not in the inventory`);
  patient.files['home.yaml'] = after;
}

/** What the state folder is on. */
export function fs(patient: Patient, stateFs: Patient['runner']['stateFs']): void {
  patient.runner = { ...patient.runner, stateFs };
}

/** Adds a line to a container's entry. */
export function entry(patient: Patient, name: string, line: string): void {
  yaml(patient, `  ${name}:\n`, `  ${name}:\n    ${line}\n`);
}

export function container(patient: Patient, vmid: number, change: Partial<ContainerSpec>): void {
  patient.world = {
    ...patient.world,
    containers: patient.world.containers.map((c) => (c.vmid === vmid ? { ...c, ...change } : c)),
  };
}

/** The nightly job leaves a container to a job of its own. */
export function jobOf(
  patient: Patient,
  vmid: number,
  own: Partial<NonNullable<Patient['world']['jobs']>[number]> | null,
): void {
  const jobs = patient.world.jobs ?? [];
  patient.world = {
    ...patient.world,
    jobs: [
      ...jobs.map((job) =>
        job.id === 'nightly' ? { ...job, exclude: [...(job.exclude ?? []), vmid] } : job,
      ),
      ...(own === null
        ? []
        : [{ id: `job-${vmid}`, storage: 'nas', schedule: '21:00', vmids: [vmid], ...own }]),
    ],
  };
}

export function node(
  patient: Patient,
  name: string,
  change: Partial<Patient['world']['nodes'][number]>,
): void {
  patient.world = {
    ...patient.world,
    nodes: patient.world.nodes.map((n) => (n.name === name ? { ...n, ...change } : n)),
  };
}

export function rights(
  patient: Patient,
  path: string,
  change: (names: readonly string[]) => readonly string[],
): void {
  patient.world = {
    ...patient.world,
    tokens: patient.world.tokens.map((token) =>
      token.id === 'proxwarden@pve!ha'
        ? { ...token, privileges: { ...token.privileges, [path]: change(token.privileges[path] ?? []) } }
        : token,
    ),
  };
}

export function extra(patient: Patient, name: string, text: string): void {
  patient.files['home.yaml'] = `${patient.files['home.yaml'] ?? ''}  ${name}:\n    ${text}\n`;
}

/** A person's word in place of plugs: of one node, or of all. */
export function unplugged(text: string, which = 'pve\\d'): string {
  const plug = new RegExp(`( {2}${which}:\\n {4}fence:\\n) {6}- http:\\n.*\\n.*\\n`, 'g');
  return text.replaceAll(plug, '$1      - manual\n');
}
