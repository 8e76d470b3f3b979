/**
 * Everything in order, and then one fault after the other, and then all of them together: doctor has to find each, and
 * must not invent any.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FINDINGS, type FindingId } from '../../lib/decide/doctor/facts.ts';
import { doctorReport } from '../../lib/tell/doctor.ts';
import { visit, type Visit } from './clinic.ts';
import { FAULTS } from './faults.ts';
import { small, WORLDS } from './worlds.ts';

/** Warnings and failures; notes are no findings in this sense. */
function found({ diagnosis }: Visit): FindingId[] {
  return [...new Set(diagnosis.findings.filter((f) => f.level !== 'note').map((f) => f.id))].toSorted();
}

/** Notes included. */
function all({ diagnosis }: Visit): FindingId[] {
  return [...new Set(diagnosis.findings.map((f) => f.id))].toSorted();
}

test('on a clean lab doctor finds nothing, and writes nothing', async () => {
  const { diagnosis, writes, facts } = await visit();
  assert.deepEqual(diagnosis.findings, [], doctorReport(diagnosis, 120, facts.at));
  assert.equal(
    diagnosis.lines.every((line) => line.level === 'ok'),
    true,
  );
  assert.deepEqual(writes, []);
});

describe('one fault by itself is found, and nothing else', () => {
  for (const [id, plant, ...also] of FAULTS)
    test(id, async () => {
      const seen = await visit(plant);
      assert.deepEqual(
        found(seen),
        [id, ...also].toSorted(),
        doctorReport(seen.diagnosis, 120, seen.facts.at),
      );
      assert.deepEqual(seen.writes, []);
      for (const one of seen.diagnosis.findings) assert.ok(one.text.length > 10 && one.id in FINDINGS);
    });
});

describe('other worlds, and what is only worth a note', () => {
  for (const [id, plant, ...also] of WORLDS)
    test(id, async () => {
      const seen = await visit(plant);
      assert.deepEqual(all(seen), [id, ...also].toSorted(), doctorReport(seen.diagnosis, 120, seen.facts.at));
    });

  test('two nodes and a QDevice are in order', async () => {
    const seen = await visit((patient) => small(patient, { host: '10.0.0.9' }));
    assert.deepEqual(all(seen), [], doctorReport(seen.diagnosis, 120, seen.facts.at));
  });

  test('every finding that there is has a test', () => {
    const tested = new Set<string>([...FAULTS, ...WORLDS].flatMap(([id, , ...also]) => [id, ...also]));
    assert.deepEqual(
      Object.keys(FINDINGS).filter((id) => !tested.has(id)),
      [],
    );
  });
});

test(`all ${FAULTS.length} faults together are found, and nothing else`, async () => {
  const seen = await visit((patient) => {
    for (const [, plant] of FAULTS) plant(patient);
  });
  const expected = new Set(FAULTS.flatMap(([id, , ...also]) => [id, ...also]));
  const report = doctorReport(seen.diagnosis, 120, seen.facts.at);
  assert.deepEqual(
    [...expected].filter((id) => !found(seen).includes(id)),
    [],
    report,
  );
  assert.deepEqual(
    found(seen).filter((id) => !expected.has(id)),
    [],
    report,
  );
});
