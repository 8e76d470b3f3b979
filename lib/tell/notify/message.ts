/** What one message says, and how each service wants to hear it. Pure. */
import type { Notice } from './notices.ts';

export interface Message {
  readonly title: string;
  /** Lines; empty when the title says it all. */
  readonly text: string;
  readonly topic: Notice['topic'];
  readonly urgency: Notice['urgency'];
  readonly containers: readonly string[];
  /** Epoch ms, of the newest. */
  readonly at: number;
}

const RANK = { info: 0, warning: 1, urgent: 2 } as const;

/** Several notices as one message: nobody wants twenty mails because one node has died. At least one is needed. */
export function composeMessage(notices: readonly Notice[]): Message {
  const [first, ...others] = notices.toSorted((a, b) => RANK[b.urgency] - RANK[a.urgency] || a.at - b.at);
  if (first === undefined) throw new Error('bug: a message of nothing');
  const inOrder = notices.toSorted((a, b) => a.at - b.at);
  return {
    title: others.length === 0 ? first.title : `${first.title} (and ${others.length} more)`,
    text: others.length === 0 ? first.text : inOrder.map(lineOf).join('\n'),
    topic: first.topic,
    urgency: first.urgency,
    containers: [...new Set(inOrder.flatMap(({ container }) => (container === null ? [] : [container])))],
    at: Math.max(...notices.map((notice) => notice.at)),
  };
}

function lineOf({ at, title, text }: Notice): string {
  return `${new Date(at).toISOString().slice(11, 16)} ${title}${text === '' ? '' : `: ${text}`}`;
}

/** Title and text as one plain text of at most `most` characters. */
export function plainText({ title, text }: Message, most: number): string {
  const whole = text === '' ? title : `${title}\n${text}`;
  return shorten(whole, most);
}

/** Cut at a character, with a mark that it goes on. */
export function shorten(text: string, most: number): string {
  const characters = Array.from(text);
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`;
}

/**
 * A template with `{{title}}`, `{{text}}`, `{{topic}}`, `{{urgency}}`, `{{containers}}` and `{{at}}` filled in. In one that
 * is JSON the values are escaped as within a string, so that no text of a node can break out of it.
 */
export function fillTemplate(template: string, message: Message): string {
  const json = /^\s*[{[]/.test(template);
  const values: Readonly<Record<string, string>> = {
    title: message.title,
    text: message.text,
    topic: message.topic,
    urgency: message.urgency,
    containers: message.containers.join(', '),
    at: new Date(message.at).toISOString(),
  };
  return template.replaceAll(/\{\{(\w+)\}\}/g, (written, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) return written;
    return json ? JSON.stringify(value).slice(1, -1) : value;
  });
}
