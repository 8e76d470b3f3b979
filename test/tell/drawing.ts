/** Draws operations on a terminal that is none: events as JSON in argv, what is told as lines on stderr. */
import type { Event } from '../../lib/tell/events.ts';
import { createTeller } from '../../lib/tell/teller.ts';

const input: unknown = JSON.parse(process.argv[2] ?? '[]');
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by the test beside it
const events = input as readonly Event[];
const given: unknown = JSON.parse(process.argv[3] ?? '{}');
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by the test beside it
const { columns = 80, ascii = false } = given as { columns?: number; ascii?: boolean };
Object.assign(process.stdout, { isTTY: true, columns, rows: 24 });

const teller = createTeller({
  io: { err: (text) => void process.stderr.write(`${text}\n`), tty: true, columns, ascii },
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
process.stderr.write('ended\n');
