/** Where a text stops being JSON. Node's own message has a position only sometimes, and quotes the content. */

const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)|([{}[\],:]))/y;

type Expected = 'value' | 'value-or-close' | 'key' | 'key-or-close' | 'colon' | 'comma-or-close' | 'end';

/** `line 3, column 14`, or `it ends too early`, of a text that JSON.parse has refused. */
export function describeBadJson(text: string): string {
  if (text.trim() === '') return 'it is empty';
  const offset = badOffset(text);
  if (offset >= text.trimEnd().length) return 'it ends too early';
  const before = text.slice(0, offset).split('\n');
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}: not JSON`;
}

function badOffset(text: string): number {
  const open: string[] = [];
  let expected: Expected = 'value';
  TOKEN.lastIndex = 0;
  for (;;) {
    const from = TOKEN.lastIndex;
    const found = TOKEN.exec(text);
    const at = from + (/^\s*/.exec(text.slice(from, from + 1_000))?.[0].length ?? 0);
    if (found === null) return at;
    const next = after(expected, found, open);
    if (next === null) return at;
    expected = next;
  }
}

/** What may follow this token, or null when the token itself may not stand here. Keeps `open` up to date. */
function after(expected: Expected, [, text, scalar, sign]: RegExpExecArray, open: string[]): Expected | null {
  const afterValue = (): Expected => (open.length === 0 ? 'end' : 'comma-or-close');
  const inObject = open.at(-1) === '{';
  switch (expected) {
    case 'key':
    case 'key-or-close':
      if (text !== undefined) return 'colon';
      if (expected === 'key-or-close' && sign === '}') return (open.pop(), afterValue());
      return null;
    case 'colon':
      return sign === ':' ? 'value' : null;
    case 'comma-or-close':
      if (sign === ',') return inObject ? 'key' : 'value';
      if (sign === (inObject ? '}' : ']')) return (open.pop(), afterValue());
      return null;
    case 'value':
    case 'value-or-close':
      if (text !== undefined || scalar !== undefined) return afterValue();
      if (sign === '{') return (open.push('{'), 'key-or-close');
      if (sign === '[') return (open.push('['), 'value-or-close');
      if (expected === 'value-or-close' && sign === ']') return (open.pop(), afterValue());
      return null;
    case 'end':
      break;
  }
  return null;
}
