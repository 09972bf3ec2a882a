// Ink on paper of 32 × 32 dots, and what becomes of it: 8 × 8 counts, as the data were made.
// DigitReader does the same in Python.
export const SIDE = 32; // dots of the paper
export const SIZE = 8; // pixels of the image
export const DOTS = SIDE / SIZE;

// A drawing is written as 256 hexadecimal digits, row by row; anything else is empty paper.
export const unpack = (text) => {
  const bits = new Uint8Array(SIDE * SIDE);
  if (!/^[0-9a-f]{256}$/.test(text)) return bits;
  return bits.map((_, k) => (parseInt(text[k >> 2], 16) >> (3 - (k & 3))) & 1);
};

export const pack = (bits) => {
  let text = "";
  for (let k = 0; k < bits.length; k += 4) {
    const [a, b, c, d] = bits.subarray(k, k + 4);
    text += ((a << 3) | (b << 2) | (c << 1) | d).toString(16);
  }
  return text;
};

export const isEmpty = (bits) => !bits.includes(1);

// First and last row and column that hold ink.
const inkExtents = (bits) => {
  const inked = [...bits.keys()].filter((k) => bits[k]);
  const [rows, columns] = [inked.map((k) => Math.floor(k / SIDE)), inked.map((k) => k % SIDE)];
  return [rows, columns].map((places) => [Math.min(...places), Math.max(...places)]);
};

// Enlarges the ink to the full height (or width) and centres it. Each dot takes the colour of the
// dot of the drawing below its centre.
export const fitted = (bits) => {
  if (isEmpty(bits)) return bits;
  const extents = inkExtents(bits);
  const lengths = extents.map(([first, last]) => last - first + 1);
  const longest = Math.max(...lengths);
  const [from, count] = [[], []];
  lengths.forEach((length, axis) => {
    const n = Math.max(1, Math.floor((2 * SIDE * length + longest) / (2 * longest)));
    const source = (k) => extents[axis][0] + Math.floor(((2 * k + 1) * length) / (2 * n));
    from.push(source);
    count.push(n);
  });
  const [top, left] = count.map((n) => (SIDE - n) >> 1);
  const out = new Uint8Array(SIDE * SIDE);
  for (let i = 0; i < count[0]; i++)
    for (let j = 0; j < count[1]; j++)
      out[(top + i) * SIDE + left + j] = bits[from[0](i) * SIDE + from[1](j)];
  return out;
};

// The ink in each block of DOTS × DOTS dots.
export const countsOf = (bits) => {
  const counts = new Float64Array(SIZE * SIZE);
  bits.forEach((ink, k) => {
    const [i, j] = [Math.floor(k / SIDE / DOTS), Math.floor((k % SIDE) / DOTS)];
    counts[i * SIZE + j] += ink;
  });
  return counts;
};
