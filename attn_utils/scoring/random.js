// Random queries and keys: their dot products in any number of dimensions, with √d and without.
import { softmaxInto } from "../widgets/kit/math.js";

// Standard normal numbers from a hash of their place, by the transform of Box and Muller, so that
// Python can make the same ones (random_components in widget.py).
const randomComponents = (count, seed) => {
  const uniform = (i) => {
    let h = (Math.imul(i, 0x9e3779b1) + Math.imul(seed, 0x85ebca77)) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
    h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
    return (((h ^ (h >>> 16)) >>> 0) + 0.5) / 4294967296;
  };
  const normal = (_, i) =>
    Math.sqrt(-2 * Math.log(uniform(2 * i))) * Math.cos(2 * Math.PI * uniform(2 * i + 1));
  return Float64Array.from({ length: count }, normal);
};

// The dot products of all queries with all keys, of their first d components only.
const productsIn = (d, numbers, { queries, keys, largest }) => {
  const products = new Float64Array(queries * keys);
  for (let t = 0; t < queries; t++)
    for (let s = 0; s < keys; s++) {
      let sum = 0;
      for (let c = 0, q = t * largest, k = (queries + s) * largest; c < d; c++)
        sum += numbers[q + c] * numbers[k + c];
      products[t * keys + s] = sum;
    }
  return products;
};

// ---- of one row of weights

export const entropyOf = (weights) =>
  weights.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0);
// The largest entry of the Jacobian diag(α) − ααᵀ stands on its diagonal.
export const steepest = (weights) => weights.reduce((top, p) => Math.max(top, p * (1 - p)), 0);

// ---- of all rows

const eachRow = (scores, keys, divisor, visit) => {
  const row = new Float64Array(keys);
  for (let from = 0; from < scores.length; from += keys) {
    for (let s = 0; s < keys; s++) row[s] = scores[from + s] / divisor;
    visit(softmaxInto(row, row));
  }
};
const meanEntropy = (scores, keys, divisor) => {
  let sum = 0;
  eachRow(scores, keys, divisor, (weights) => {
    sum += entropyOf(weights);
  });
  return (sum * keys) / scores.length;
};
const medianSlope = (scores, keys, divisor) => {
  const slopes = [];
  eachRow(scores, keys, divisor, (weights) => slopes.push(steepest(weights)));
  const sorted = Float64Array.from(slopes).sort();
  const half = sorted.length / 2;
  return sorted.length % 2 ? sorted[half - 0.5] : (sorted[half - 1] + sorted[half]) / 2;
};
const deviationOf = (scores) => {
  const mean = scores.reduce((sum, s) => sum + s, 0) / scores.length;
  const square = scores.reduce((sum, s) => sum + s * s, 0) / scores.length;
  return Math.sqrt(Math.max(0, square - mean * mean));
};
// How many scores fall into each of the bins from −reach to reach; what lies outside counts in
// the last bin.
const countsOf = (scores, bins, reach) => {
  const counts = new Float64Array(bins);
  for (const s of scores) {
    const bin = Math.floor(((s + reach) / (2 * reach)) * bins);
    counts[Math.min(bins - 1, Math.max(0, bin))]++;
  }
  return counts;
};

// ---- what the panels show

// The products at all stops of the dial, which is then only looked up.
export const openRandom = (sizes, stops) => {
  const numbers = randomComponents((sizes.queries + sizes.keys) * sizes.largest, sizes.seed);
  const table = stops.map((d) => productsIn(d, numbers, sizes));
  return { ...sizes, full: Math.log(sizes.keys), stops, numbers, table };
};

// Mean entropy at all stops of the dial: without √d, with √d.
export const entropyCurves = ({ keys, stops, table }, temperature) =>
  [() => 1, Math.sqrt].map((factorIn) =>
    stops.map((d, i) => meanEntropy(table[i], keys, temperature * factorIn(d))),
  );

// The scores in d dimensions and what softmax makes of them: without √d, with √d.
export const sidesIn = (random, d, temperature) => {
  const { keys, bins, stops, table, numbers } = random;
  const at = stops.indexOf(d);
  const products = at >= 0 ? table[at] : productsIn(d, numbers, random);
  return [
    [1, random.reach],
    [Math.sqrt(d), random.scaledReach],
  ].map(([factor, reach]) => {
    const scores = products.map((product) => product / factor);
    return {
      counts: countsOf(scores, bins, reach),
      std: deviationOf(scores),
      entropy: meanEntropy(scores, keys, temperature),
      slope: medianSlope(scores, keys, temperature),
    };
  });
};
