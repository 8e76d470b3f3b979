/** The same digits in every run. */
export function countingHex(seed: number): (bytes: number) => string {
  let state = seed;
  return (bytes) =>
    Array.from({ length: bytes }, () => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return ((state >> 8) & 0xff).toString(16).padStart(2, '0');
    }).join('');
}
