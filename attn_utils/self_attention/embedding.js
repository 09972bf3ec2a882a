// Words and their vectors (tokens_of and embedding_of in widget.py do the same).
export const MOST = 8; // tokens

export const tokensOf = (words) => words.split(/[ \t\r\n]+/).filter(Boolean);

// Two numbers that belong to a token: a hash of its letters, FNV-1a over the UTF-8 bytes and a
// mixing step. The worked example's tokens have its vectors.
const vectorOf = (token, worked) => {
  const known = worked.find(([name]) => name === token);
  if (known) return known.slice(1);
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(token)) h = Math.imul(h ^ byte, 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h ^= h >>> 15;
  return [((h & 0xffff) % 41) - 20, ((h >>> 16) % 41) - 20].map((tenths) => tenths / 10);
};

// Vectors of up to eight tokens, filled up with zeros.
export const embed = (tokens, worked) => {
  const numbers = tokens.flatMap((token) => vectorOf(token, worked));
  return [...numbers, ...Array(2 * MOST - numbers.length).fill(0)];
};
