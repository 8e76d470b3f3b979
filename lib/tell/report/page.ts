/** The report as one HTML page that asks nobody for anything: no script, no font, no picture from elsewhere. Pure. */
import type { Outcome } from '../consequences.ts';
import { groupedFindings } from '../doctor.ts';
import { html, Html } from './html.ts';
import type { Report } from './model.ts';
import { containersTable } from './page-containers.ts';
import { timeline } from './page-operations.ts';
import { badge, time } from './parts.ts';
import { STYLE } from './style.ts';
import { findingTexts, headline, tiles } from './summary.ts';

/** Nothing may be loaded, run or sent; the style is the page's own. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/** The whole page. */
export function reportPage(report: Report): string {
  const { containers, consequences, findings, operations } = report;
  const parts: readonly (readonly [id: string, title: string, body: Html])[] = [
    ['containers', 'Containers', containersTable(report)],
    ...(report.looked
      ? [
          ['what-if', 'What would happen', whatIf(consequences)] as const,
          ['mend', `To mend (${findings.length})`, toMend(report)] as const,
        ]
      : []),
    ['operations', 'What was done', timeline(operations)],
  ];
  return `<!doctype html>\n${
    html`<html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <meta name="referrer" content="no-referrer" />
        <meta name="color-scheme" content="light dark" />
        <title>${headline(report)} – ProxWarden</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <a class="skip" href="#containers">To the containers</a>
        <header>
          <h1>ProxWarden: ${headline(report)}</h1>
          <p class="soft small">
            As of ${time(report.at)} (all times are
            UTC)${report.looked ? '' : ', from the state alone: nothing was looked at'}
          </p>
          <dl class="tiles">
            ${tiles(report).map(
              ({ what, figure, note }) =>
                html`<div class="tile">
                  <dt>${what}</dt>
                  <dd>${figure}</dd>
                  ${note === null ? null : html`<dd class="note">${note}</dd>`}
                </div>`,
            )}
          </dl>
          ${
            report.notices.length === 0
              ? null
              : html`<ul class="notices" aria-label="To know first">
                  ${report.notices.map((text) => html`<li>${text}</li>`)}
                </ul>`
          }
          <nav aria-label="Parts of this page">
            <ul>
              ${parts.map(([id, title]) => html`<li><a href="#${id}">${title}</a></li>`)}
            </ul>
          </nav>
        </header>
        <main>
          ${parts.map(
            ([id, title, body]) =>
              html` <section aria-labelledby="${id}">
                <h2 id="${id}" tabindex="-1">${title}</h2>
                ${body}
              </section>`,
          )}
        </main>
        <footer>
          Made by <code>proxwarden report --format html</code> from ${String(containers.length)}
          container${containers.length === 1 ? '' : 's'}. Latency is that of the slowest check; availability
          counts the time between runs that have seen the service.
        </footer>
      </body>
    </html> `.text
  }`;
}

function whatIf(consequences: Report['consequences']): Html {
  if (consequences.length === 0)
    return html`<p class="soft">Nothing is protected, or nothing could be seen.</p>`;
  return html`${consequences.map(
    ({ cluster, rows }) =>
      html`<h3>In ${cluster}</h3>
        <table class="cards" role="table">
          <caption>
            Decided by the code that decides in earnest, on what was just seen
          </caption>
          <thead role="rowgroup">
            <tr role="row">
              <th role="columnheader" scope="col">If</th>
              <th role="columnheader" scope="col">Then</th>
              <th role="columnheader" scope="col">Containers</th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            ${rows.map(outcomeRow)}
          </tbody>
        </table>`,
  )}`;
}

function outcomeRow({ event, containers, text, commands, remedy }: Outcome): Html {
  return html` <tr role="row">
    <th role="rowheader" scope="row">${event}</th>
    <td role="cell" data-label="Then">
      ${text}${remedy === null ? null : html`<span class="sub">→ ${remedy}</span>`}${commands.map((command) => html`<code>${command}</code>`)}
    </td>
    <td role="cell" data-label="Containers">${containers.join(', ')}</td>
  </tr>`;
}

function toMend({ findings, blind }: Report): Html {
  if (findings.length === 0)
    return html`<p class="soft">
      ${blind ? 'No cluster could be seen.' : 'Nothing: doctor has found no warning and no failure.'}
    </p>`;
  return html`<ul class="findings">
    ${groupedFindings(findings).map((group) => {
      const [first] = group;
      if (first === undefined) return null;
      const names = [...new Set(group.map((one) => one.name))];
      return html`<li>
        ${badge(first.level === 'fail' ? 'bad' : 'warn', first.level === 'fail' ? 'failure' : 'warning')}
        <strong>${first.kind === names[0] ? '' : `${first.kind} `}${names.join(', ')}</strong>
        <span class="soft small">${first.id}</span>
        ${findingTexts(group).map((text) => html`<p>${text}</p>`)}
        ${[...new Set(group.flatMap((one) => one.fix ?? []))].map((fix) => html`<p class="soft">→ ${fix}</p>`)}
        ${[...new Set(group.flatMap((one) => one.commands))].map((command) => html`<code>${command}</code>`)}
      </li>`;
    })}
  </ul>`;
}
