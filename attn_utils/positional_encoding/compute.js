// Encodings of positions, their scores, and a tiny attention layer that may be told the positions.
// PositionExplorer.reference computes the same in torch.
import { attention, frequenciesOf, linear, turnRows } from "../widgets/kit/math.js";

// Mean cosine of all hands at an offset: the score of two positions that far apart.
const meanCosine = (omega, offset) => {
  let sum = 0;
  for (let j = 0; j < omega.length; j++) sum += Math.cos(offset * omega[j]);
  return sum / omega.length;
};

// ---- sinusoidal and rotary: every hand turns

const turningMatrix = (omega, width, rows, starts) => {
  const matrix = new Float64Array(rows * width);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < omega.length; j++) {
      const angle = i * omega[j] + (starts ? starts[j] : 0);
      const pair = [Math.sin(angle), Math.cos(angle)];
      matrix.set(starts ? pair.toReversed() : pair, i * width + 2 * j);
    }
  return matrix;
};

const turning = ({ encoding, width, base, look_back, _sizes, _starts }) => {
  const [rows, trained] = _sizes;
  const omega = frequenciesOf(base, width);
  const offsets = Array.from({ length: 2 * trained - 1 }, (_, o) => o - trained + 1);
  // one number for each diagonal of the scores
  const curve = Float64Array.from(offsets, (offset) => meanCosine(omega, offset - look_back));
  const scores = new Float64Array(trained * trained);
  for (let i = 0; i < trained; i++)
    for (let j = 0; j < trained; j++) scores[i * trained + j] = curve[i - j + trained - 1];
  return {
    matrix: turningMatrix(omega, width, rows, encoding === "rotary" ? _starts : null),
    limit: 1,
    omega,
    scores,
    curve,
    low: curve,
    high: curve,
    // the score at offsets 0, 1, 2, … without looking back
    reach: Float64Array.from({ length: trained }, (_, offset) => meanCosine(omega, offset)),
  };
};

// ---- learned: a table that ends

const learnedScores = (matrix, width, trained) => {
  const scores = new Float64Array(trained * trained);
  const curve = new Float64Array(2 * trained - 1);
  const low = new Float64Array(2 * trained - 1).fill(Infinity);
  const high = new Float64Array(2 * trained - 1).fill(-Infinity);
  for (let i = 0; i < trained; i++)
    for (let j = 0; j < trained; j++) {
      let dot = 0;
      for (let c = 0; c < width; c++) dot += matrix[i * width + c] * matrix[j * width + c];
      const score = dot / (width / 2);
      const at = i - j + trained - 1;
      scores[i * trained + j] = score;
      low[at] = Math.min(low[at], score);
      high[at] = Math.max(high[at], score);
      curve[at] += score / (trained - Math.abs(i - j));
    }
  return { scores, curve, low, high };
};

const learned = ({ width, _sizes, _table }) => {
  const [rows, trained] = _sizes;
  const columns = _table.length / trained;
  const matrix = new Float64Array(rows * width); // rows that the table lacks stay 0
  for (let i = 0; i < trained; i++)
    matrix.set(_table.subarray(i * columns, i * columns + width), i * width);
  const limit = matrix.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return { matrix, limit, ...learnedScores(matrix, width, trained) };
};

// The matrix of encodings (its numbers go from −limit to limit), the scores of all pairs of
// positions and, for each offset, their mean, lowest and highest.
export const encode = (state) => (state.encoding === "learned" ? learned : turning)(state);

// ---- the tiny layer: a few words with fixed embeddings and weights

// What is added to the word in row i, column c: nothing if positions are turned or not told.
const addedTo = (kind, { _table, _sizes }, omega, i, c) => {
  if (kind === "learned") return _table[(i * _table.length) / _sizes[1] + c];
  if (kind !== "sinusoidal") return 0;
  const angle = i * omega[c >> 1];
  return c % 2 ? Math.cos(angle) : Math.sin(angle);
};

const outputsOf = (order, state) => {
  const [{ length: count }, size] = [state._words, state._sizes[2]];
  const kind = state.positions_on ? state.encoding : "none";
  const omega = frequenciesOf(state.base, size);
  const x = new Float64Array(count * size);
  order.forEach((word, i) => {
    for (let c = 0; c < size; c++)
      x[i * size + c] = state._layer[word * size + c] + addedTo(kind, state, omega, i, c);
  });
  const weightsAt = (m) =>
    state._layer.subarray(count * size + m * size * size).subarray(0, size * size);
  const [q, k, v] = [0, 1, 2].map((m) => linear(x, count, weightsAt(m)));
  if (kind === "rotary") for (const rows of [q, k]) turnRows(rows, size, omega);
  return attention(q, k, v, { queries: count, keys: count }).output;
};

// The outputs, a row for each word in the present order, and for each word of the sentence how far
// its output is from the one in the unshuffled sentence.
export const attendWords = (state) => {
  const { order, _sizes } = state;
  const size = _sizes[2];
  const outputs = outputsOf(order, state);
  const before = outputsOf(order.toSorted(), state);
  const changes = new Float64Array(order.length);
  order.forEach((word, i) => {
    for (let c = 0; c < size; c++) {
      const change = Math.abs(outputs[i * size + c] - before[word * size + c]);
      changes[word] = Math.max(changes[word], change);
    }
  });
  return { order, outputs, changes, size };
};

export const vectorOf = ({ position, width }, { matrix }) =>
  matrix.subarray(position * width, (position + 1) * width);

export const compute = (state) => {
  const encoding = encode(state);
  const { outputs, changes } = attendWords(state);
  const { matrix, scores, curve } = encoding;
  return { vector: vectorOf(state, encoding), matrix, scores, curve, outputs, changes };
};
