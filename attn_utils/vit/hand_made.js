import { softmaxInto } from "../widgets/kit/math.js";

// The attention that is set by hand; hand_made.py computes the same in torch.
const LAYERS = 3;
const HEADS = 4;
const FEATURES = 5; // of a token: its mean colour, how far down and how far across it is

// Each patch of a square photograph as five numbers from 0 to 1.
export const handMadeTokens = (pixels, side, rows) => {
  const size = side / rows;
  const tokens = new Float64Array(rows * rows * FEATURES);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const token = FEATURES * (Math.floor(y / size) * rows + Math.floor(x / size));
      for (let c = 0; c < 3; c++)
        tokens[token + c] += pixels[3 * (y * side + x) + c] / 255 / size ** 2;
    }
  for (let i = 0; i < rows * rows; i++) {
    tokens[FEATURES * i + 3] = (Math.floor(i / rows) + 0.5) / rows;
    tokens[FEATURES * i + 4] = ((i % rows) + 0.5) / rows;
  }
  return tokens;
};

// The features from … to - 1 of N tokens, with mean 0 and mean square length 1.
const standardised = (tokens, N, from, to) => {
  const width = to - from;
  const out = new Float64Array(N * width);
  let square = 0;
  for (let c = 0; c < width; c++) {
    let mean = 0;
    for (let i = 0; i < N; i++) mean += tokens[FEATURES * i + from + c] / N;
    for (let i = 0; i < N; i++) {
      const value = tokens[FEATURES * i + from + c] - mean;
      out[i * width + c] = value;
      square += value ** 2 / N;
    }
  }
  const scale = Math.sqrt(Math.max(square, 1e-12));
  return out.map((value) => value / scale);
};

// The fourth head's scores, the same for every query: how much a patch's colour stands out.
const salienceOf = (colour, N, sharpness) =>
  Float64Array.from({ length: N }, (_, j) => {
    const [r, g, b] = colour.subarray(3 * j, 3 * j + 3);
    return sharpness * 2.5 * Math.hypot(r, g, b);
  });

// Scores of query i in the three heads that compare: by colour, by place, and by both.
const scoreRow = (scores, { colour, place, N, sharpness }, i) => {
  const [byColour, byPlace, byBoth] = scores;
  const [red, green, blue] = colour.subarray(3 * i, 3 * i + 3);
  const [down, across] = place.subarray(2 * i, 2 * i + 2);
  for (let j = 0; j < N; j++) {
    const hue =
      (red - colour[3 * j]) ** 2 +
      (green - colour[3 * j + 1]) ** 2 +
      (blue - colour[3 * j + 2]) ** 2;
    const way = (down - place[2 * j]) ** 2 + (across - place[2 * j + 1]) ** 2;
    byColour[j] = (-sharpness * hue) / (2 * 0.15 ** 2);
    byPlace[j] = (-sharpness * way) / (2 * 0.25 ** 2);
    byBoth[j] = sharpness * (-hue / (2 * 0.3 ** 2) - way / (2 * 0.5 ** 2));
  }
};

// What token i becomes: the mean of itself and of what the heads bring.
const mixInto = (next, x, heads, i) => {
  const sums = new Float64Array(FEATURES);
  const [first, second, third, fourth] = heads;
  for (let j = 0; j < first.length; j++) {
    const mean = (first[j] + second[j] + third[j] + fourth[j]) / HEADS;
    for (let c = 0; c < FEATURES; c++) sums[c] += mean * x[FEATURES * j + c];
  }
  for (let c = 0; c < FEATURES; c++) next[FEATURES * i + c] = (sums[c] + x[FEATURES * i + c]) / 2;
};

// Weights (LAYERS, HEADS, N, N) of all layers, from the tokens (N, FEATURES).
export const handMadeAttention = (tokens, sharpness) => {
  const N = tokens.length / FEATURES;
  const all = new Float64Array(LAYERS * HEADS * N * N);
  let x = tokens;
  for (let l = 0; l < LAYERS; l++) {
    const [colour, place] = [standardised(x, N, 0, 3), standardised(x, N, 3, 5)];
    const salience = salienceOf(colour, N, sharpness);
    const heads = [0, 1, 2].map(() => new Float64Array(N));
    heads.push(softmaxInto(salience, salience));
    const next = new Float64Array(FEATURES * N);
    for (let i = 0; i < N; i++) {
      scoreRow(heads, { colour, place, N, sharpness }, i);
      for (let h = 0; h < HEADS; h++) {
        if (h < 3) softmaxInto(heads[h], heads[h]);
        all.set(heads[h], ((l * HEADS + h) * N + i) * N);
      }
      mixInto(next, x, heads, i);
    }
    x = next;
  }
  return all;
};
