/** What the parts of the page are made of. Pure. */
import { stamp } from '../teller.ts';
import { html, type Html } from './html.ts';

/** In UTC, to the minute. `at`: epoch ms. */
export function time(at: number): Html {
  return html`<time datetime="${new Date(at).toISOString()}">${stamp(at).slice(0, -3)}</time>`;
}

/** What a colour says; the text says it, too. */
export type Kind = 'ok' | 'warn' | 'bad' | 'mute';

export function badge(kind: Kind, text: string): Html {
  return html`<span class="badge ${kind}">${text}</span>`;
}
