// The cost calculator's formulas: operations, bytes and memory of a transformer block of n tokens.
const ITEMSIZE = { float32: 4, bfloat16: 2, float16: 2 };
const FAR = 2 ** 40; // no crossing or limit lies beyond
export const GIB = 2 ** 30;

export const sum = (values) => values.reduce((total, value) => total + value, 0);

// The sizes in the formulas: width D, heads H (the largest number up to the chosen one that divides
// the width), batch B, bytes of a number.
const layerOf = ({ width: D, num_heads, batch: B, precision, kernel, is_causal }) => {
  let H = Math.min(D, num_heads);
  while (D % H) H--;
  const itemsize = ITEMSIZE[precision];
  return { D, H, B, itemsize, isFused: kernel === "fused", isCausal: is_causal };
};

// Operations of each part for n tokens: projections, scores, softmax, weighted sum, output, MLP.
const flopsOf = ({ D, H, B, isCausal }, n) => {
  const pairs = isCausal ? (n * (n + 1)) / 2 : n * n;
  const matmul = 2 * pairs * D;
  const counts = [6 * n * D * D, matmul, 5 * H * pairs, matmul, 2 * n * D * D, 16 * n * D * D];
  return counts.map((count) => count * B);
};

// Bytes that each part reads and writes; the weights of the layers are read once for the batch.
const movedOf = ({ D, H, B, itemsize, isFused }, n) => {
  const [tokens, matrix, weights] = [B * n * D, isFused ? 0 : B * H * n * n, D * D];
  const numbers = [
    6 * tokens + 3 * weights,
    2 * tokens + matrix,
    2 * matrix,
    matrix + 2 * tokens,
    2 * tokens + weights,
    10 * tokens + 8 * weights,
  ];
  return numbers.map((count) => count * itemsize);
};

// Bytes of q, k, v and the attention between them at once.
const peakOf = ({ D, H, B, itemsize }, n, isFused) => {
  const [tokens, matrix] = [n * D, H * n * n];
  const between = isFused ? tokens + H * n : Math.max(2 * matrix, matrix + tokens);
  return B * itemsize * (3 * tokens + between);
};
const peaksOf = (layer, n) => [false, true].map((isFused) => peakOf(layer, n, isFused));

// The largest n for which `holds(n)`: true up to some n, false beyond. 0 if never.
const lastThat = (holds) => {
  let [low, high] = [0, FAR];
  while (low < high) {
    const middle = Math.floor((low + high + 1) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
};

const crossingsOf = (layer, budget) => {
  const sequence = { ...layer, B: 1 };
  const pairsAreCheaper = (n) => {
    const [projections, scores, , weightedSum, output] = flopsOf(sequence, n);
    return scores + weightedSum < projections + output;
  };
  const attentionIsCheaper = (n) => {
    const flops = flopsOf(sequence, n);
    return sum(flops) <= 2 * flops[5];
  };
  return [
    ...[pairsAreCheaper, attentionIsCheaper].map((holds) => 1 + lastThat(holds)),
    ...[false, true].map((isFused) => lastThat((n) => peakOf(layer, n, isFused) <= budget)),
  ];
};

// Everything that is shown, in operations and bytes; `at(n)` gives the same for another n.
export const costsOf = (state) => {
  const layer = layerOf(state);
  const at = (n) => ({ flops: flopsOf(layer, n), peak: peaksOf(layer, n) });
  return {
    ...at(state.n),
    at,
    moved: movedOf(layer, state.n),
    crossings: crossingsOf(layer, Math.floor(state.memory * GIB)),
    heads: layer.H,
  };
};

// In the units of the results: GFLOP, MiB and GiB.
export const compute = (state) => {
  const { flops, moved, peak, crossings } = costsOf(state);
  return {
    flops: flops.map((count) => count / 1e9),
    moved: moved.map((bytes) => bytes / 2 ** 20),
    peak: peak.map((bytes) => bytes / GIB),
    crossings,
  };
};
