/**
 * What a broken disk, a broken server or an attacker makes of a genuine file or answer: its values exchanged, taken away,
 * given twice; its bytes flipped, cut, doubled, spliced into those of another one.
 */

/** Texts that JSON.parse would lose or refuse are written as they are: `1e400`, `__proto__`, a key that is there twice. */
type Tree =
  | { readonly kind: 'raw'; readonly text: string }
  | { readonly kind: 'list'; readonly items: Tree[] }
  | { readonly kind: 'map'; readonly entries: [string, Tree][] };

/** Where it happens (of as many places as there are), what happens, and with what. Numbers, so that they can shrink. */
export interface Edit {
  readonly at: number;
  readonly how: number;
  readonly what: number;
}

const LONG = 'x'.repeat(100_000);
/** What programs trip over when it is a part of a text. */
export const ODD_TEXTS = [
  '',
  ' ',
  '\u0000',
  '\u001b[2J\u001b]0;title\u0007',
  '\r\n',
  '\n',
  '\u2028',
  '\u202e',
  '\ufeff',
  '\ud800',
  '__proto__',
  'constructor',
  'toString',
  '../../../../etc/passwd',
  '/',
  '%',
  '%zz',
  '%s%n',
  "'",
  '"',
  '`$(id)`',
  '-1',
  '0',
  '1e309',
  '0x10',
  '99999999999999999999',
  'NaN',
  'Infinity',
  'null',
  '١٢',
  '{{x}}',
  '=',
  ':',
  ';',
  ',',
  '🏴󠁧󠁢󠁥󠁮󠁧󠁿',
  LONG,
] as const;

function nested(open: string, inner: string, close: string, times: number): string {
  return open.repeat(times) + inner + close.repeat(times);
}

/** Values of every type, as JSON writes them or as nobody should. */
const ODD_VALUES = [
  ...ODD_TEXTS.map((text) => JSON.stringify(text)),
  ...'null true false 0 -0 1 -1 1.5 1e9 1e15 1e308 1e400 -1e400 9007199254740993'.split(' '),
  ...'99999999999999999999999999 [] {} [[]] [null] {"":null}'.split(' '),
  '{"__proto__":{"polluted":1}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  nested('[', '', ']', 2_000),
  nested('{"a":', '1', '}', 2_000),
  `[${'0,'.repeat(5_000)}0]`,
] as const;

/** Pieces for bytes; invalid UTF-8 among them. */
const ODD_BYTES = [
  ...ODD_TEXTS.map((text) => Buffer.from(text)),
  ...[[0xff], [0xfe, 0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x80]].map((bytes) =>
    Buffer.from(bytes),
  ),
  Buffer.alloc(64),
  Buffer.from('['.repeat(20_000)),
  Buffer.from('{"a":'.repeat(20_000)),
  Buffer.from('- '.repeat(2_000)),
];

function treeOf(value: unknown): Tree {
  if (Array.isArray(value)) return { kind: 'list', items: value.map((item) => treeOf(item)) };
  if (typeof value === 'object' && value !== null)
    return {
      kind: 'map',
      entries: Object.entries(value).map(([key, item]): [string, Tree] => [key, treeOf(item)]),
    };
  return { kind: 'raw', text: JSON.stringify(value) ?? 'null' };
}

function textOf(tree: Tree): string {
  switch (tree.kind) {
    case 'raw':
      return tree.text;
    case 'list':
      return `[${tree.items.map((item) => textOf(item)).join(',')}]`;
    case 'map':
      return `{${tree.entries.map(([key, item]) => `${JSON.stringify(key)}:${textOf(item)}`).join(',')}}`;
  }
}

/** A place of a tree, seen from what holds it. */
interface Slot {
  readonly tree: Tree;
  readonly put: (tree: Tree) => void;
  readonly drop: () => void;
  readonly rename: (key: string) => void;
  readonly double: () => void;
}

function slotsOf(tree: Tree, into: Slot[]): Slot[] {
  if (tree.kind === 'list')
    for (const [index, item] of tree.items.entries()) {
      const { items } = tree;
      into.push({
        tree: item,
        put: (one) => void (items[index] = one),
        drop: () => void items.splice(index, 1),
        rename: () => void items.push(...items.splice(0, 1)),
        double: () => void items.push(item),
      });
      slotsOf(item, into);
    }
  if (tree.kind === 'map')
    for (const [index, [key, item]] of tree.entries.entries()) {
      const { entries } = tree;
      into.push({
        tree: item,
        put: (one) => void (entries[index] = [key, one]),
        drop: () => void entries.splice(index, 1),
        rename: (name) => void (entries[index] = [name, item]),
        double: () =>
          void entries.push([key, { kind: 'raw', text: ODD_VALUES[index % ODD_VALUES.length] ?? '0' }]),
      });
      slotsOf(item, into);
    }
  return into;
}

function pick<T>(from: readonly T[], number: number, fallback: T): T {
  return from[number % from.length] ?? fallback;
}

function editTree(root: Tree, { at, how, what }: Edit): Tree {
  const slots = slotsOf(root, []);
  const odd: Tree = { kind: 'raw', text: pick(ODD_VALUES, what, 'null') };
  const slot = slots[at % Math.max(slots.length, 1)];
  if (slot === undefined || how >= 995) return odd;
  switch (how % 10) {
    case 0:
    case 1:
    case 2:
      slot.put(odd);
      break;
    case 3:
    case 4:
      slot.drop();
      break;
    case 5:
      slot.rename(pick(ODD_TEXTS, what, ''));
      break;
    case 6:
      slot.double();
      break;
    case 7: {
      // A value of the right kind in the wrong place is what a schema can't refuse.
      const other = pick(slots, what, slot);
      slot.put(structuredClone(other.tree));
      break;
    }
    case 8:
      slot.put({ kind: 'list', items: [slot.tree] });
      break;
    default:
      slot.put({ kind: 'raw', text: bent(slot.tree, what) });
  }
  return root;
}

/** A number or a text that is nearly what it was. */
function bent(tree: Tree, what: number): string {
  if (tree.kind !== 'raw') return 'null';
  const value = parsed(tree.text);
  if (typeof value === 'number')
    return pick(
      [`${value}e30`, `-${Math.abs(value)}`, `${value}.5`, `"${value}"`, String(value + 1)],
      what,
      '0',
    );
  if (typeof value !== 'string') return `"${String(value)}"`;
  const odd = pick(ODD_TEXTS, Math.floor(what / 4), '');
  const middle = Math.floor(value.length / 2);
  return JSON.stringify(
    pick(
      [value + odd, odd + value, value.slice(0, middle) + odd + value.slice(middle), value.slice(0, middle)],
      what,
      '',
    ),
  );
}

/** What was mutated before need not be JSON any more. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function editBytes(bytes: Buffer, { at, how, what }: Edit, others: readonly Buffer[]): Buffer {
  const place = at % (bytes.length + 1);
  const end = Math.min(bytes.length, place + 1 + (what % 64));
  const before = bytes.subarray(0, place);
  const after = bytes.subarray(place);
  switch (how % 9) {
    case 0: {
      const flipped = Buffer.from(bytes);
      if (place < flipped.length) flipped[place] = (flipped[place] ?? 0) ^ (1 << (what % 8));
      return flipped;
    }
    case 1:
      return before;
    case 2:
      return after;
    case 3:
      return Buffer.concat([before, bytes.subarray(end)]);
    case 4:
      return Buffer.concat([before, bytes.subarray(place, end), after]);
    case 5:
      return Buffer.concat([bytes, bytes.subarray(0, 1_000_000)]);
    case 6: {
      const other = pick(others, what, bytes);
      return Buffer.concat([before, other.subarray(Math.floor(what / 7) % (other.length + 1))]);
    }
    default:
      return Buffer.concat([before, pick(ODD_BYTES, what, Buffer.alloc(1)), after]);
  }
}

/** Lines exchanged, dropped, doubled, or with something odd in them. */
export function editLines(lines: string[], { at, how, what }: Edit): void {
  const place = at % Math.max(lines.length, 1);
  const line = lines[place] ?? '';
  const odd = pick(ODD_TEXTS, what, '');
  const column = what % (line.length + 1);
  switch (how % 6) {
    case 0:
      lines.splice(place, 1);
      break;
    case 1:
      lines.splice(place, 0, line);
      break;
    case 2:
      lines.splice(place, 0, lines[what % Math.max(lines.length, 1)] ?? '');
      break;
    case 3:
      lines[place] = line.slice(0, column) + odd + line.slice(column);
      break;
    case 4:
      lines[place] = line.replace(/(?<=[:=] ?)\S.*$/, () => odd);
      break;
    default:
      lines[place] = line.replaceAll(/\d+/g, () =>
        pick(['0', '-1', '1e400', '99999999999999999999', '1.5'], what, '0'),
      );
  }
}

/** The JSON text with these edits of its values. */
export function bentJson(text: string, edits: readonly Edit[]): string {
  return textOf(edits.reduce((root, one) => editTree(root, one), treeOf(parsed(text))));
}

/** The bytes with these edits; `others` is what is spliced in. */
export function bentBytes(
  bytes: Buffer,
  edits: readonly Edit[],
  others: readonly Buffer[] = [bytes],
): Buffer {
  return edits.reduce<Buffer>((changed, one) => editBytes(changed, one, others), bytes);
}
