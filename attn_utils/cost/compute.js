// The cost calculator's formulas: operations, bytes and memory of a transformer block of n tokens.
const ITEMSIZE = { float32: 4, bfloat16: 2, float16: 2 };
const FAR = 2 ** 40; // no crossing or limit lies beyond
export const GIB = 2 ** 30;

export const sum = (values) => values.reduce((total, value) => total + value, 0);

const largestDivisor = (number, most) => {
  let divisor = Math.min(number, most);
  while (number % divisor) divisor--;
  return divisor;
};

// The sizes in the formulas: width D, heads H (the largest number up to the chosen one that divides
// the width), key/value heads G (likewise of H; 0 for as many as there are) of the width K in all,
// batch B, bytes of a number.
const layerOf = (state) => {
  const { width: D, num_heads, num_kv_heads, batch: B, precision, kernel, phase } = state;
  const H = largestDivisor(D, num_heads);
  const G = largestDivisor(H, num_kv_heads || H);
  const [isFused, isDecoding] = [kernel === "fused", phase === "decode"];
  const itemsize = ITEMSIZE[precision];
  return { D, H, G, K: (D / H) * G, B, itemsize, isFused, isDecoding, isCausal: state.is_causal };
};
// The tokens that are computed: all n, or one where the others come from the cache.
const newOf = ({ isDecoding }, n) => (isDecoding ? 1 : n);

// Operations of each part for n tokens: projections, scores, softmax, weighted sum, output, MLP.
const flopsOf = (layer, n) => {
  const { D, H, K, B, isCausal } = layer;
  const T = newOf(layer, n);
  const pairs = T * (n - T) + (isCausal ? (T * (T + 1)) / 2 : T * T);
  const [matmul, square] = [2 * pairs * D, T * D * D];
  const projections = 2 * square + 4 * T * D * K;
  const counts = [projections, matmul, 5 * H * pairs, matmul, 2 * square, 16 * square];
  return counts.map((count) => count * B);
};

// Bytes that each part reads and writes; the weights of the layers are read once for the batch.
const movedOf = (layer, n) => {
  const { D, H, K, B, itemsize, isFused } = layer;
  const T = newOf(layer, n);
  const [tokens, matrix, weights] = [B * T * D, isFused ? 0 : B * H * T * n, D * D];
  const [made, seen] = [B * T * K, B * n * K]; // keys; there are as many values
  const numbers = [
    4 * tokens + weights + 2 * (made + D * K),
    tokens + seen + matrix,
    2 * matrix,
    matrix + seen + tokens,
    2 * tokens + weights,
    10 * tokens + 8 * weights,
  ];
  return numbers.map((count) => count * itemsize);
};

// Bytes of q, k, v and the attention between them at once.
const peakOf = (layer, n, isFused) => {
  const { D, H, K, B, itemsize } = layer;
  const T = newOf(layer, n);
  const [tokens, matrix] = [T * D, H * T * n];
  const between = isFused ? tokens + H * T : Math.max(2 * matrix, matrix + tokens);
  return B * itemsize * (tokens + 2 * n * K + between);
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
    keyHeads: layer.G,
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
