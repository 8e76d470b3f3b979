/** `proxwarden WORD … --flag` as it stands in code blocks and between backticks of a document, in the order of reading. */
export function commandLines(text: string): string[] {
  return [...text.matchAll(/`proxwarden ([^`\n]+)`|^(?:npx |\$ )?proxwarden ([^\n]+)$/gm)].map((match) =>
    (match[1] ?? match[2] ?? '').replace(/ {2,}#.*$/, '').trim(),
  );
}
