/** A container's home, written into the text of its inventory file; nothing else in it changes. Pure. */
import { isMap, isPair, isScalar, parseDocument, type YAMLMap } from 'yaml';

/** The new text; null where it can't be done like that (the entry is an alias, or has no vmid of its own). */
export function withHome(text: string, container: string, node: string): string | null {
  const entry: unknown = parseDocument(text).getIn(['containers', container], true);
  if (!isMap(entry)) return null;
  for (const word of [node, JSON.stringify(node)]) {
    const changed = changedBy(text, entry, word);
    if (changed !== null && parseDocument(changed).getIn(['containers', container, 'home']) === node)
      return changed;
  }
  return null;
}

function changedBy(text: string, entry: YAMLMap, word: string): string | null {
  const there = rangeOf(entry, 'home');
  if (there !== null) return text.slice(0, there.from) + word + text.slice(there.to);
  const vmid = rangeOf(entry, 'vmid');
  if (vmid === null) return null;
  if (entry.flow === true) return `${text.slice(0, vmid.to)}, home: ${word}${text.slice(vmid.to)}`;
  const indent = ' '.repeat(vmid.key - (text.lastIndexOf('\n', vmid.key) + 1));
  const end = /\r?\n|$/.exec(text.slice(vmid.to));
  const at = vmid.to + (end?.index ?? 0);
  return `${text.slice(0, at)}${end?.[0] === '\r\n' ? '\r\n' : '\n'}${indent}home: ${word}${text.slice(at)}`;
}

/** Where the key begins, and its value's text. */
function rangeOf(entry: YAMLMap, key: string): { key: number; from: number; to: number } | null {
  const pair = entry.items.find((p) => isPair(p) && isScalar(p.key) && p.key.value === key);
  if (pair === undefined || !isScalar(pair.key) || !isScalar(pair.value)) return null;
  const [name, value] = [pair.key.range, pair.value.range];
  return name == null || value == null ? null : { key: name[0], from: value[0], to: value[1] };
}
