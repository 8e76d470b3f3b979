/** The page's timeline of operations. Pure. */
import { formatDuration } from '../../units.ts';
import type { HistoryRow } from '../history.ts';
import { html, type Html } from './html.ts';
import { badge, time, type Kind } from './parts.ts';

const ENDS: Readonly<Record<HistoryRow['status'], Kind>> = {
  running: 'warn',
  done: 'ok',
  cancelled: 'warn',
  failed: 'bad',
  error: 'bad',
};

/** Newest first; the steps are folded away. */
export function timeline(operations: readonly HistoryRow[]): Html {
  if (operations.length === 0) return html`<p class="soft">Nothing has been done yet.</p>`;
  return html`<ol class="timeline">
    ${operations.map(
      (one) =>
        html` <li class="${ENDS[one.status]}">
          ${time(one.startedAt)}
          <h3>${one.kind} of ${one.container} ${badge(ENDS[one.status], one.status)}</h3>
          <p class="small">${factsOf(one).join(' · ')}</p>
          <details>
            <summary>
              ${String(one.steps.length)} step${one.steps.length === 1 ? '' : 's'}<span class="hidden">
                of ${one.operation}</span
              >
            </summary>
            <p class="soft small">${one.reason}</p>
            <table>
              <caption class="hidden">
                Steps of ${one.operation}
              </caption>
              <thead>
                <tr>
                  <th scope="col">Step</th>
                  <th scope="col">Took</th>
                  <th scope="col">Result</th>
                </tr>
              </thead>
              <tbody>
                ${one.steps.map(
                  (step) =>
                    html`<tr>
                      <th scope="row">${step.step}</th>
                      <td>${step.tookMs === null ? '–' : formatDuration(step.tookMs)}</td>
                      <td>${step.status === 'done' ? '' : `${step.status}: `}${step.note}</td>
                    </tr>`,
                )}
              </tbody>
            </table>
          </details>
        </li>`,
    )}
  </ol>`;
}

function factsOf({ move, startedAt, endedAt, outageMs, lostMs, operation }: HistoryRow): string[] {
  return [
    ...(move === null ? [] : [move]),
    endedAt === null ? 'not ended' : `took ${formatDuration(endedAt - startedAt)}`,
    ...(outageMs === null ? [] : [`outage ${formatDuration(outageMs)}`]),
    ...(lostMs === null ? [] : [`data lost ${formatDuration(lostMs)}`]),
    operation,
  ];
}
