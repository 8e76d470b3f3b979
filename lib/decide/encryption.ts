/** What can be known of an encrypted backup before it is restored. Pure. Proxmox Backup Server only: unmeasured. */

/**
 * Why a storage of this cluster can't read an encrypted backup, or null when nothing speaks against it. A storage's key
 * lies in /etc/pve, so all nodes of a cluster have it or none.
 */
export function keyProblem(
  encrypted: string | null,
  definition: { readonly storage: string; readonly encryptionKey: string | null },
): string | null {
  if (encrypted === null) return null;
  const { storage, encryptionKey } = definition;
  if (encryptionKey === null)
    return `it is encrypted, and storage ${storage} has no encryption key in this cluster`;
  const [made, held] = [digits(encrypted), digits(encryptionKey)];
  // `1` stands for a key whose fingerprint is not known; a short form is the beginning of the long one.
  const length = Math.min(made.length, held.length);
  return length < 8 || made.slice(0, length) === held.slice(0, length)
    ? null
    : `it is encrypted with key ${shortForm(made)}, and storage ${storage} has key ${shortForm(held)} in this cluster`;
}

function digits(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}

function shortForm(hex: string): string {
  return (hex.slice(0, 16).match(/../g) ?? []).join(':');
}
