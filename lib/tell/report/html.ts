/** HTML that can't be broken out of: whatever is put into the template is escaped, unless it is HTML of this kind itself. */
import { redact } from '../../redact.ts';
import { printable } from '../../text.ts';

export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Value = Html | string | number | null | readonly Value[];

/** html`<p title="${words}">${words}</p>`: attributes must stand in double quotes. Null is nothing. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(
    parts
      // How it is laid out here is nothing to the reader.
      .map((part) => part.replaceAll(/\n\s*/g, '\n'))
      .reduce((text, part, index) => text + textOf(values[index - 1] ?? null) + part),
  );
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function textOf(value: Value): string {
  if (value === null) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map(textOf).join('');
  return printable(redact(String(value))).replaceAll(/[&<>"']/g, (found) => ENTITIES[found] ?? '');
}
