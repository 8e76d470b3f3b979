/** How the page looks: light and dark by the reader's system, one column on a phone, ink on paper. No script, no request. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fbfbfa; --card: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --shade: #f0f2f4;
  --ok: #116329; --ok-bg: #dafbe1; --warn: #7d4e00; --warn-bg: #fff3cd; --bad: #a40e26; --bad-bg: #ffe1e3;
  --mute: #57606a; --mute-bg: #eaeef2; --link: #0550ae;
  --bar-ok: #2da44e; --bar-some: #d4a017; --bar-bad: #cf222e; --bar-none: #d0d7de;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0e1116; --card: #161b22; --ink: #e6edf3; --soft: #9da7b3; --line: #30363d; --shade: #1c2128;
    --ok: #7ee2a0; --ok-bg: #12361f; --warn: #f2cc60; --warn-bg: #3a2d05; --bad: #ffa198; --bad-bg: #4a1317;
    --mute: #b1bac4; --mute-bg: #2a3038; --link: #79c0ff;
    --bar-ok: #3fb950; --bar-some: #d29922; --bar-bad: #f85149; --bar-none: #3d444d;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
}
header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .25rem 0 .75rem; }
.soft, caption, footer { color: var(--soft); }
.small { font-size: .875rem; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 2px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .5rem 1rem; z-index: 1; }
nav ul { list-style: none; margin: .75rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
nav a { display: inline-block; padding: .3rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; margin: 1.25rem 0 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; }
.tile dt { color: var(--soft); font-size: .875rem; }
.tile dd { margin: 0; font-size: 1.35rem; font-weight: 600; line-height: 1.3; overflow-wrap: anywhere; }
.tile dd.note { font-size: .875rem; font-weight: 400; color: var(--soft); }
.notices { list-style: none; margin: 1.25rem 0 0; padding: 0; }
.notices li {
  background: var(--warn-bg); color: var(--warn); border-left: .3rem solid currentColor; border-radius: .25rem;
  padding: .55rem .8rem; margin-bottom: .5rem; overflow-wrap: anywhere;
}
.badge {
  display: inline-block; padding: .05rem .5rem; border-radius: 1rem; font-size: .8125rem; font-weight: 600;
  white-space: nowrap; background: var(--mute-bg); color: var(--mute);
}
.badge.ok { background: var(--ok-bg); color: var(--ok); }
.badge.warn { background: var(--warn-bg); color: var(--warn); }
.badge.bad { background: var(--bad-bg); color: var(--bad); }
table { border-collapse: collapse; width: 100%; background: var(--card); border: 1px solid var(--line); }
caption { text-align: left; font-size: .875rem; padding: 0 0 .5rem; }
th, td { text-align: left; vertical-align: top; padding: .6rem .75rem; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
thead th { background: var(--shade); font-size: .8125rem; color: var(--soft); border-top: 0; white-space: nowrap; }
tbody th { font-weight: 600; overflow-wrap: break-word; }
@media (min-width: 54.01rem) { table.containers th:nth-child(2) { width: 22%; } table.containers th:nth-child(6), table.containers th:nth-child(7) { width: 15%; } table.containers th:nth-child(5) { width: 14rem; } }
td.nowrap { white-space: nowrap; }
td .sub, th .sub { display: block; font-weight: 400; color: var(--soft); font-size: .875rem; }
td .line { display: block; }
code { font: .875em/1.5 ui-monospace, "SFMono-Regular", Menlo, Consolas, "Liberation Mono", monospace; overflow-wrap: anywhere; }
td > code, li > code, p > code.command { display: block; background: var(--shade); border-radius: .25rem; padding: .25rem .5rem; margin-top: .35rem; }
svg.days { display: block; width: 100%; max-width: 12rem; height: 1.6rem; margin-top: .3rem; }
svg .ok { fill: var(--bar-ok); } svg .some { fill: var(--bar-some); } svg .bad { fill: var(--bar-bad); } svg .none { fill: var(--bar-none); }
details { margin-top: .25rem; }
summary { cursor: pointer; color: var(--link); font-size: .875rem; padding: .15rem 0; }
details table { margin-top: .4rem; font-size: .875rem; }
details th, details td { padding: .3rem .5rem; }
.timeline { list-style: none; margin: 0; padding: 0 0 0 1.1rem; border-left: 2px solid var(--line); }
.timeline > li { position: relative; padding: 0 0 1.1rem; overflow-wrap: anywhere; }
.timeline > li::before {
  content: ""; position: absolute; left: -1.55rem; top: .5rem; width: .75rem; height: .75rem; border-radius: 50%;
  background: var(--bar-none); border: 2px solid var(--paper);
}
.timeline > li.ok::before { background: var(--bar-ok); }
.timeline > li.warn::before { background: var(--bar-some); }
.timeline > li.bad::before { background: var(--bar-bad); }
.timeline h3 { margin: 0; }
.timeline time { color: var(--soft); font-size: .875rem; }
.findings { list-style: none; padding: 0; margin: 0; }
.findings > li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; margin-bottom: .6rem; overflow-wrap: anywhere; }
footer { padding-top: 2rem; padding-bottom: 2.5rem; font-size: .875rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 54rem) {
  header, main, footer { padding-left: 1rem; padding-right: 1rem; }
  table.cards, table.cards > tbody { display: block; border: 0; background: none; }
  table.cards > caption { display: block; }
  table.cards > thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table.cards > tbody > tr {
    display: block; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
    margin-bottom: .75rem; padding: .3rem 0;
  }
  table.cards > tbody > tr > * { display: block; border: 0; padding: .35rem .9rem; }
  table.cards > tbody > tr > th { font-size: 1.05rem; }
  table.containers > tbody > tr { display: grid; grid-template-columns: 1fr 1fr; }
  table.containers > tbody > tr > th, table.containers td.wide { grid-column: 1 / -1; }
  table.cards > tbody > tr > td.nowrap { white-space: normal; }
  table.cards > tbody > tr > td::before { content: attr(data-label); display: block; color: var(--soft); font-size: .8125rem; }
  svg.days { max-width: none; }
}
@media print { .skip, nav { display: none; } body { background: none; } }
`;
