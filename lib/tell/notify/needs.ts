/** What a run has found that waits for a person. Pure. */
import type { TickResult } from '../../act/tick.ts';
import { handsOff } from '../../act/tick.ts';
import type { Need } from './notices.ts';

/** What a network that hiccups mends by itself is told only when it lasts. */
const PATIENCE_MS = 600_000;
const DAY_MS = 86_400_000;

/** The needs of one whole run. */
export function needsOf(result: TickResult): Need[] {
  const { state, decisions } = result;
  const off = new Set(handsOff(state, decisions));
  const needs: Need[] = [];
  const add = (
    kind: string,
    container: string | null,
    text: string,
    when: { readonly patienceMs?: number; readonly repeatMs?: number } = {},
  ): void => void needs.push({ key: `${kind} ${container ?? ''}`, container, text, ...when });
  for (const name of off)
    add(
      'hands-off',
      name,
      `${state.containers[name]?.error?.reason ?? ''} → \`proxwarden ack ${name}\` when it is mended`,
    );
  for (const { container, kind, why, gates } of decisions) {
    if (kind !== 'blocked' || off.has(container)) continue;
    const failed = gates.filter((gate) => !gate.ok);
    const flip = failed.find((gate) => gate.flip !== null)?.flip;
    add(
      `blocked by ${failed.map((gate) => gate.gate).join(', ')}`,
      container,
      flip == null ? why : `${why} → ${flip}`,
    );
  }
  // Several of one container are one need: their texts name nodes and ages, which change.
  for (const container of new Set(result.findings.map((finding) => finding.container))) {
    const found = result.findings.filter((finding) => finding.container === container);
    add('found', container, found.map((finding) => finding.text).join('; '));
  }
  for (const [name, { verdict, stoppedByHand }] of Object.entries(state.containers))
    if (verdict?.kind === 'stopped-by-hand' && verdict.until === undefined && stoppedByHand !== null)
      add('stopped-by-hand', name, `it is left alone until somebody starts it: ${stoppedByHand}`, {
        patienceMs: DAY_MS,
        repeatMs: DAY_MS,
      });
  if (state.inconclusive !== null)
    add(
      'inconclusive',
      null,
      'nothing conclusive can be seen: look after the network of the machine that ProxWarden runs on',
      { patienceMs: PATIENCE_MS },
    );
  if (result.problems.length > 0)
    add('problems', null, result.problems.join('; '), { patienceMs: PATIENCE_MS });
  return needs;
}
