/** The page in a real browser: by day and by night, on a phone and on a desk, with the keyboard and a screen reader's eyes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'node:test';
import * as z from 'zod';
import { reportPage } from '../../../lib/tell/report/page.ts';
import { CHROMIUM, openBrowser, type Browser } from './browser.ts';
import { sampleReport } from './sample.ts';

const SHOTS = process.env['REPORT_DIR'];

/** Colours and widths have nothing to do with each other: two looks show all of them. */
const LOOKS = [
  ['light', 320, 640],
  ['dark', 1280, 900],
  ...(SHOTS === undefined
    ? []
    : ([
        ['dark', 320, 640],
        ['light', 1280, 900],
      ] as const)),
] as const;

/** In the page: texts whose contrast to what is behind them is less than WCAG's AA wants (4.5; 3 for large ones). */
const PALE = `(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(e).backgroundColor);
      if (a > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const pale = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.textContent.trim() === '' || element.getClientRects().length === 0) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(numbers(style.color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) pale.push(ratio.toFixed(1) + ' ' + node.textContent.trim());
  }
  return pale;
})()`;

const Tree = z.object({
  nodes: z.array(
    z.object({
      ignored: z.boolean(),
      role: z.object({ value: z.string() }).optional(),
      name: z.object({ value: z.string() }).optional(),
    }),
  ),
});

/** What a screen reader is told: roles and names. */
async function spoken(browser: Browser): Promise<readonly (readonly [role: string, name: string])[]> {
  const { nodes } = Tree.parse(await browser.send('Accessibility.getFullAXTree'));
  return nodes
    .filter((node) => !node.ignored)
    .map((node) => [node.role?.value ?? '', node.name?.value ?? ''] as const);
}

async function press(browser: Browser, key: string, text?: string): Promise<void> {
  const common = {
    key,
    code: key,
    windowsVirtualKeyCode: key === 'Tab' ? 9 : 13,
    ...(text === undefined ? {} : { text }),
  };
  await browser.send('Input.dispatchKeyEvent', { type: 'keyDown', ...common });
  await browser.send('Input.dispatchKeyEvent', { type: 'keyUp', ...common });
}

const skip = CHROMIUM === undefined ? 'there is no Chromium here (apt install chromium)' : false;

test(
  'the page: nothing runs, nothing is fetched, all can be read, and everything is reached',
  { skip },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'proxwarden-page-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'report.html');
    writeFileSync(file, reportPage(await sampleReport()));
    const browser = await openBrowser(t);
    for (const domain of ['Page', 'Network', 'Runtime', 'Log', 'Accessibility'])
      await browser.send(`${domain}.enable`);
    const loaded = browser.next('Page.loadEventFired');
    await browser.send('Page.navigate', { url: pathToFileURL(file).href });
    await loaded;
    for (const [scheme, width, height] of LOOKS) {
      const where = `${scheme}, ${width} wide`;
      await browser.send('Emulation.setEmulatedMedia', {
        features: [{ name: 'prefers-color-scheme', value: scheme }],
      });
      await browser.send('Emulation.setDeviceMetricsOverride', {
        width,
        height,
        deviceScaleFactor: 1,
        mobile: width < 600,
      });
      assert.deepEqual(await browser.evaluate(PALE), [], where);
      assert.equal(
        await browser.evaluate('document.documentElement.scrollWidth'),
        width,
        `${where}: it must not scroll sideways`,
      );
      if (SHOTS === undefined) continue;
      const shot = z
        .object({ data: z.string() })
        .parse(await browser.send('Page.captureScreenshot', { captureBeyondViewport: true }));
      writeFileSync(join(SHOTS, `${scheme}-${width}.png`), Buffer.from(shot.data, 'base64'));
    }
    // A phone's layout is what makes a browser forget that it is a table.
    await browser.send('Emulation.setDeviceMetricsOverride', {
      width: 320,
      height: 640,
      deviceScaleFactor: 1,
      mobile: true,
    });
    const all = await spoken(browser);
    const has = (role: string, name: RegExp): boolean => all.some(([r, n]) => r === role && name.test(n));
    assert.ok(has('table', /^Every container/), JSON.stringify(all.filter(([r]) => r === 'table')));
    assert.ok(has('rowheader', /^web$/) && has('columnheader', /^Last backup$/) && has('cell', /too old/));
    assert.ok(has('heading', /^ProxWarden: 6 of 7/) && has('navigation', /./) && has('main', /^$/));
    assert.ok(has('image', /^web: \d+ of the last 30 days with an outage$/));
    await press(browser, 'Tab');
    assert.equal(await browser.evaluate('document.activeElement.textContent'), 'To the containers');
    assert.ok(
      await browser.evaluate('document.activeElement.getBoundingClientRect().left >= 0'),
      'seen when it has the focus',
    );
    const reached = new Set<unknown>();
    for (let n = 0; n < 40 && !reached.has('SUMMARY'); n += 1) {
      await press(browser, 'Tab');
      reached.add(await browser.evaluate('document.activeElement.tagName'));
    }
    assert.ok(reached.has('A') && reached.has('SUMMARY'));
    await press(browser, 'Enter', '\r');
    assert.equal(
      await browser.evaluate('document.activeElement.parentElement.open'),
      true,
      'opened with the keyboard',
    );
    const asked = browser.events.filter((e) => e.method === 'Network.requestWillBeSent');
    assert.equal(asked.length, 1, JSON.stringify(asked));
    const trouble = browser.events.filter((e) =>
      [
        'Page.javascriptDialogOpening',
        'Log.entryAdded',
        'Runtime.exceptionThrown',
        'Runtime.consoleAPICalled',
      ].includes(e.method),
    );
    assert.deepEqual(trouble, []);
    assert.equal(await browser.evaluate('document.querySelectorAll("script, img, link, iframe").length'), 0);
  },
);
