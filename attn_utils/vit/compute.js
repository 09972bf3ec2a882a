import { handMadeAttention, handMadeTokens } from "./hand_made.js";

// The patch explorer's numbers: how an image is cut into tokens, the attention between them, and
// what the token that asks reads of it. Weights are (L, H, T, T), flat.
const REAL = 224; // pixels of a photograph, as a ViT takes it
const WIDTH = 768; // of a token in ViT-Base

// P prefix tokens, then the patches: `rows` × `columns` of them, size × size pixels in C
// channels, each a token of width D. Of photographs only the patches attend; a class token would
// come first.
export const cutOf = ({ _shape: [, height, width], _model, patch }) => {
  if (!_model.length) {
    const [size, rows] = [Number(patch), REAL / Number(patch)];
    return { P: 0, prefix: 1, size, C: 3, D: WIDTH, rows, columns: rows, T: rows * rows };
  }
  const [P, size, C, D] = _model;
  const [rows, columns] = [height / size, width / size];
  return { P, prefix: P, size, C, D, rows, columns, T: P + rows * columns };
};

export const pixelsOf = ({ picture, _pixels, _shape: [, height, width] }) => {
  const size = 3 * height * width;
  return _pixels.subarray(picture * size, (picture + 1) * size);
};

// The present image's cut, with the weights of all its layers and heads.
export const attentionOf = (state) => {
  const { picture, sharpness, _model, _weights, _layers: L, _heads, _shape } = state;
  const cut = cutOf(state);
  const H = _heads.length;
  if (!_model.length) {
    const tokens = handMadeTokens(pixelsOf(state), _shape[1], cut.rows);
    return { ...cut, L, H, weights: handMadeAttention(tokens, sharpness) };
  }
  const count = L * H * cut.T ** 2;
  return { ...cut, L, H, weights: _weights.subarray(picture * count, (picture + 1) * count) };
};

// Which token asks.
export const tokenOf = ({ asking, down, across, _model }, { P, rows, columns }) => {
  if (_model.length && asking === "class token") return 0;
  const i = Math.min(Math.floor(down * rows), rows - 1);
  const j = Math.min(Math.floor(across * columns), columns - 1);
  return P + i * columns + j;
};

const rowOf = ({ weights, H, T }, l, h, token) => {
  const from = ((l * H + h) * T + token) * T;
  return weights.subarray(from, from + T);
};

const meanRow = (attention, l, token) => {
  const { H, T } = attention;
  const mean = new Float64Array(T);
  for (let h = 0; h < H; h++) {
    const row = rowOf(attention, l, h, token);
    for (let j = 0; j < T; j++) mean[j] += row[j] / H;
  }
  return mean;
};

// One row of the rollout: from layer `last` back to the image, half of each step stays where it
// is. Each layer's rows are normalised, since stored weights are rounded.
const rolloutRow = (attention, last, token) => {
  const { T } = attention;
  let row = new Float64Array(T);
  row[token] = 1;
  for (let l = last; l >= 0; l--) {
    const next = new Float64Array(T);
    for (let i = 0; i < T; i++) {
      if (!row[i]) continue;
      const mean = meanRow(attention, l, i);
      const share = row[i] / (1 + mean.reduce((sum, weight) => sum + weight, 0));
      next[i] += share;
      for (let j = 0; j < T; j++) next[j] += share * mean[j];
    }
    row = next;
  }
  return row;
};

// e to the entropy: over how many tokens a row is spread.
export const spreadOf = (row) =>
  Math.exp(row.reduce((sum, v) => (v > 0 ? sum - v * Math.log(v) : sum), 0));

const shownRow = ({ view, layer, head }, attention, token) => {
  if (view === "rollout") return rolloutRow(attention, layer - 1, token);
  if (view === "mean of heads") return meanRow(attention, layer - 1, token);
  return rowOf(attention, layer - 1, head - 1, token);
};

const smallRows = (attention, token) => {
  const { L, H, T } = attention;
  const small = new Float64Array(L * H * T);
  for (let k = 0; k < L * H; k++) small.set(rowOf(attention, 0, k, token), k * T);
  return small;
};

// Tokens, numbers in a patch, parameters of the patch embedding, numbers in the position
// embedding, weights of one head.
const countsOf = ({ prefix, rows, columns, size, C, D }) => {
  const [tokens, numbers] = [prefix + rows * columns, size ** 2 * C];
  return [tokens, numbers, numbers * D + D, tokens * D, tokens ** 2];
};

// The results, from an attention that is kept as long as it stays the same.
export const readingOf = (state, attention) => {
  const token = tokenOf(state, attention);
  const row = shownRow(state, attention, token);
  return {
    row,
    small: smallRows(attention, token),
    patches_used: [spreadOf(row)],
    counts: countsOf(attention),
  };
};

export const compute = (state) => readingOf(state, attentionOf(state));
