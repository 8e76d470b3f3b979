/**
 * The last line of defence for "no secret leaves": every secret that is read is registered here, and every text that
 * leaves the program (output, logs, state, reports, errors) goes through `redact`.
 */

const MASK = '***';
/** Shorter values would mask ordinary words; readSecret refuses nothing, so they are simply not searched for. */
const SHORTEST = 4;
const forms = new Set<string>();
let ordered: readonly string[] = [];

/** Remembers a secret's value for the rest of the process, with its URL-encoded and base64 forms. */
export function registerSecret(value: string): void {
  if (value.length < SHORTEST) return;
  forms.add(value);
  forms.add(encodeURIComponent(Buffer.from(value, 'utf8').toString('utf8')));
  forms.add(new URLSearchParams({ v: value }).toString().slice('v='.length));
  forms.add(JSON.stringify(value).slice(1, -1));
  for (const form of base64Forms(Buffer.from(value, 'utf8'))) forms.add(form);
  // Longest first: a form that contains another must go as a whole.
  ordered = [...forms].filter((form) => form.length >= SHORTEST).toSorted((a, b) => b.length - a.length);
}

/**
 * Base64 of the bytes at each of the three alignments they can have inside a longer text (as in `user:password`),
 * without the characters that depend on the neighbours; in both alphabets.
 */
function base64Forms(bytes: Buffer): string[] {
  const whole = bytes.toString('base64');
  const inner = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const bits = (shift + bytes.length) * 8;
    return text.slice(Math.ceil((shift * 8) / 6), Math.floor(bits / 6));
  });
  // Fragments of fewer than 6 characters would hit ordinary text.
  const all = [whole, ...inner.filter((text) => text.length >= 6)];
  return all.flatMap((text) => [text, text.replaceAll('+', '-').replaceAll('/', '_')]);
}

/** The text with every registered secret, in any of its forms, replaced by `***`. */
export function redact(text: string): string {
  let clean = text;
  for (const form of ordered) clean = clean.replaceAll(form, MASK);
  return clean;
}
