/** The page's table of containers. Pure. */
import { formatDuration } from '../../units.ts';
import { latencyText, percentText } from './figures.ts';
import { html, type Html, type Value } from './html.ts';
import type { Backup, Fate, Report, ReportContainer } from './model.ts';
import { badge, time, type Kind } from './parts.ts';

const VERDICTS: Readonly<Record<string, Kind>> = { healthy: 'ok', unhealthy: 'bad' };

/** Laid out as cards on a phone, where browsers forget that it is a table unless it is said. */
export function containersTable({ containers, looked }: Report): Html {
  const columns = [
    'Container',
    'State',
    'Where',
    'Latency',
    'Availability',
    'Last backup',
    'If it fails now',
  ];
  const cell = (label: string, body: Value, more = ''): Html =>
    html`<td role="cell" data-label="${label}" class="${more}">${body}</td>`;
  return html`<table class="cards containers" role="table">
    <caption>
      Every container, what is in trouble first. Latency: half, 95 % and all of the last 7 days’ checks were
      quicker. Availability: last 7 and 30 days, a bar per day.
    </caption>
    <thead role="rowgroup">
      <tr role="row">
        ${columns.map((column) => html`<th role="columnheader" scope="col">${column}</th>`)}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${containers.map(
        (one) =>
          html` <tr role="row">
            <th role="rowheader" scope="row">
              ${one.container}${one.mode === 'protect' ? null : html`<span class="sub">${one.mode} only</span>`}
            </th>
            ${cell('State', html`${badge(one.error === null ? (VERDICTS[one.verdict] ?? 'warn') : 'bad', one.error === null ? one.verdict : 'hands off')}<span class="sub">${one.detail}</span>`, 'wide')}
            ${cell('Where', whereOf(one))} ${cell('Latency', latencyOf(one), 'nowrap')}
            ${cell('Availability', availabilityOf(one), 'wide')} ${cell('Last backup', backupOf(one.backup))}
            ${cell('If it fails now', looked ? fatesOf(one) : html`<span class="soft">not looked at</span>`)}
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function whereOf({ current, cluster, where }: ReportContainer): Value {
  if (current === null) return where;
  return html`${current.cluster === cluster ? '' : `${current.cluster}/`}${current.node}<span class="sub"
      >CT ${String(current.vmid)},
      ${current.epoch === 0 ? 'the original' : `copy, epoch ${current.epoch}`}</span
    >`;
}

function latencyOf({ averages: { week }, latencyMs }: ReportContainer): Value {
  return html`${latencyText(week.p50Ms)}<span class="sub">95 %: ${latencyText(week.p95Ms)}</span
    ><span class="sub">most: ${latencyText(week.maxMs)}</span
    ><span class="sub">now: ${latencyText(latencyMs)}</span>`;
}

function availabilityOf({ container, averages: { week, month }, days }: ReportContainer): Value {
  if (month.runs === 0) return html`<span class="soft">no runs yet</span>`;
  const known = days.flatMap(({ date, figures }) => (figures === null ? [] : [{ date, figures }]));
  return html`<span class="line">${percentText(week.availability)} <span class="soft small">7 d</span></span
    ><span class="line">${percentText(month.availability)} <span class="soft small">30 d</span></span>
    ${bars(container, days)}
    <details>
      <summary>Days<span class="hidden"> of ${container}</span></summary>
      <table>
        <caption class="hidden">
          ${container}, day by day
        </caption>
        <thead>
          <tr>
            <th scope="col">Day</th>
            <th scope="col">Available</th>
            <th scope="col">Down</th>
            <th scope="col">50 / 95 % / most</th>
          </tr>
        </thead>
        <tbody>
          ${known
            .toReversed()
            .slice(0, 14)
            .map(
              ({ date, figures: f }) =>
                html`<tr>
                  <th scope="row">${date.slice(5)}</th>
                  <td>${percentText(f.availability)}</td>
                  <td>${f.downMs === 0 ? '–' : formatDuration(f.downMs)}</td>
                  <td>${latencyText(f.p50Ms)} / ${latencyText(f.p95Ms)} / ${latencyText(f.maxMs)}</td>
                </tr>`,
            )}
        </tbody>
      </table>
    </details>`;
}

/** A bar per day; what it shows is in the table below it, too. */
function bars(container: string, days: ReportContainer['days']): Html {
  const width = 6;
  return html`<svg
    class="days"
    role="img"
    aria-label="${container}: ${String(days.filter((d) => (d.figures?.downMs ?? 0) > 0).length)} of the last ${String(days.length)} days with an outage"
    viewBox="0 0 ${String(days.length * width)} 24"
    preserveAspectRatio="none"
  >
    ${days.map(({ figures }, index) => {
      const share = figures?.availability ?? null;
      // Not by its colour alone: what was down stands out.
      const [kind, height] =
        share === null ? ['none', 3] : share === 1 ? ['ok', 14] : share >= 0.99 ? ['some', 19] : ['bad', 24];
      return html`<rect
        class="${kind}"
        x="${String(index * width)}"
        y="${String(24 - height)}"
        width="${String(width - 1.5)}"
        height="${String(height)}"
      />`;
    })}
  </svg>`;
}

const BACKUPS: Readonly<Record<Backup['kind'], readonly [Kind, string]>> = {
  fresh: ['ok', 'fresh'],
  late: ['warn', 'soon too old'],
  old: ['bad', 'too old'],
  none: ['bad', 'none'],
  unknown: ['mute', 'unknown'],
};

function backupOf({ kind, at, text }: Backup): Value {
  return html`${badge(...BACKUPS[kind])}<span class="sub">${text}</span
    >${at === null ? null : html`<span class="sub">${time(at)}</span>`}`;
}

const FATES: Readonly<Record<Fate['outcome'], readonly [Kind, string]>> = {
  automatic: ['ok', 'by itself'],
  'by-hand': ['warn', 'waits for you'],
  nothing: ['mute', 'nothing is done'],
  blocked: ['bad', 'blocked'],
};

function fatesOf({ mode, nodeDies, serviceDies }: ReportContainer): Value {
  if (mode !== 'protect') return html`<span class="soft">nothing: it is only observed</span>`;
  const fate = (what: string, one: Fate | null): Html =>
    html`<span class="line">${what}: ${one === null ? 'unknown' : badge(...FATES[one.outcome])}</span
      >${one?.outcome === 'blocked' ? html`<span class="sub">${one.text}</span>` : null}`;
  return html`${fate('its node', nodeDies)}${fate('its service', serviceDies)}`;
}
