/** What `make` gives, made when it is first asked for: a module that is loaded late, and then for thousands of probes. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
