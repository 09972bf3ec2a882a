// Scores of six rules over a plane, the weights of its keys, and scores in many dimensions
// (ScoringExplorer.reference computes the same with the package).
import { softmaxInto } from "../widgets/kit/math.js";
import { entropyCurves, entropyOf, openRandom, sidesIn, steepest } from "./random.js";

export const RULES = ["dot", "scaled dot", "cosine", "additive", "q/k norm", "soft cap"];
const CAP = 2; // of the rule "soft cap"
const EPSILON = 1e-6; // added to the mean square in the norm

// ---- the score of the query (a, b) with a key (x, y), as a function of x and y

const cosineOf = ([a, b]) => {
  const own = Math.sqrt(a * a + b * b);
  return (x, y) => {
    const length = own * Math.sqrt(x * x + y * y);
    return length > 1e-12 ? (a * x + b * y) / length : 0; // no direction, no preference
  };
};
const additiveOf = ([a, b], [wq, wk, bias, wv]) => {
  // the query's part is the same everywhere
  const offset = bias.map((c, j) => c + wq[j][0] * a + wq[j][1] * b);
  const [wx, wy] = [0, 1].map((axis) => wk.map((row) => row[axis]));
  return (x, y) => {
    let sum = 0;
    for (let j = 0; j < wv.length; j++) sum += wv[j] * Math.tanh(wx[j] * x + wy[j] * y + offset[j]);
    return sum;
  };
};
// Query and key of root mean square 1, so of length √2; their product is divided by √2.
const normedOf = ([a, b]) => {
  const rms = (x, y) => Math.sqrt((x * x + y * y) / 2 + EPSILON);
  const own = rms(a, b) * Math.SQRT2;
  return (x, y) => (a * x + b * y) / (own * rms(x, y));
};
const cappedOf = ([a, b]) => {
  const wide = Math.SQRT2 * CAP;
  return (x, y) => CAP * Math.tanh((a * x + b * y) / wide);
};
const scorer = (rule, query, additive) => {
  const [a, b] = query;
  if (rule === "dot") return (x, y) => a * x + b * y;
  if (rule === "scaled dot") return (x, y) => (a * x + b * y) / Math.SQRT2;
  if (rule === "cosine") return cosineOf(query);
  if (rule === "q/k norm") return normedOf(query);
  return rule === "soft cap" ? cappedOf(query) : additiveOf(query, additive);
};

// ---- over the plane

// The score at the centres of grid × grid cells; the first row is the top one.
export const fieldOf = ({ rule, query, _additive: additive }, { grid, bound }) => {
  const score = scorer(rule, query, additive);
  const centre = (i) => (((i + 0.5) * 2) / grid - 1) * bound;
  const field = new Float64Array(grid * grid);
  for (let i = 0; i < grid; i++)
    for (let j = 0; j < grid; j++) field[i * grid + j] = score(centre(j), -centre(i));
  return field;
};
const everyFew = (field, { grid, stride }) =>
  field.filter((_, at) => (at % grid) % stride === 0 && Math.floor(at / grid) % stride === 0);

export const argmax = (values) =>
  values.reduce((best, value, i) => (value > values[best] ? i : best), 0);

// The keys under the present rule, and under each of the six.
export const weighKeys = ({ rule, temperature, query, key_points: flat, _additive: additive }) => {
  const keys = Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
  const all = RULES.map((name) => {
    const score = scorer(name, query, additive);
    return keys.map(([x, y]) => score(x, y));
  });
  const scores = all[RULES.indexOf(rule)];
  const logits = Float64Array.from(scores, (score) => score / temperature);
  const weights = softmaxInto(logits, logits);
  const [entropy, slope] = [entropyOf(weights), steepest(weights)];
  return { keys, all, winners: all.map(argmax), scores, weights, entropy, slope };
};

// ---- what goes back to Python

export const resultsOf = ({ weighed, field, sides, curves, sizes }) => ({
  scores: weighed.scores,
  weights: weighed.weights,
  winners: weighed.winners,
  spread: [weighed.entropy, weighed.slope],
  field: everyFew(field, sizes),
  random: sides.flatMap(({ std, entropy, slope }) => [std, entropy, slope]),
  histogram: sides.flatMap(({ counts }) => [...counts]),
  entropies: curves.flat(),
});
export const compute = (state) => {
  const sizes = Object.fromEntries(state._sizes);
  const random = openRandom(sizes, state._dial);
  return resultsOf({
    weighed: weighKeys(state),
    field: fieldOf(state, sizes),
    sides: sidesIn(random, Math.round(state.dimension), state.temperature),
    curves: entropyCurves(random, state.temperature),
    sizes,
  });
};
