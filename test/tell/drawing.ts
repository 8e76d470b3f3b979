/**
 * Draws operations on a terminal that is none: of each line on stdin (JSON) the events, what is told as lines on stderr. A
 * zero byte on both ends a story.
 */
import { createInterface } from 'node:readline';
import type { Event } from '../../lib/tell/events.ts';
import { createTeller } from '../../lib/tell/teller.ts';

interface Story {
  readonly events: readonly Event[];
  readonly columns: number;
  readonly ascii: boolean;
}

for await (const text of createInterface({ input: process.stdin })) {
  const input: unknown = JSON.parse(text);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by the test beside it
  const { events, columns, ascii } = input as Story;
  Object.assign(process.stdout, { isTTY: true, columns, rows: 24 });
  const teller = createTeller({
    io: { err: (line) => void process.stderr.write(`${line}\n`), tty: true, columns, ascii },
    clock: { now: () => 0, sleep: () => Promise.resolve() },
    level: 'info',
    json: false,
    steps: true,
  });
  for (const event of events) {
    teller.tell(event);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await teller.end();
  process.stdout.write('\0');
  process.stderr.write('\0');
}
