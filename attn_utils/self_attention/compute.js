// Self-attention of up to eight tokens, step by step and under four ways of masking
// (SelfAttentionExplorer.reference computes the same in torch).
import { softmaxInto } from "../widgets/kit/math.js";
import { MOST, tokensOf } from "./embedding.js";

export const WAYS = ["-inf", "-1e9", "zero after softmax", "package"];

// Whether query i may look at key j.
const PERMITS = {
  none: () => true,
  causal: (_, i, j) => j <= i,
  padding: ({ valid }, _, j) => j < valid,
  window: ({ reach }, i, j) => Math.abs(i - j) <= reach,
  "my own": ({ cells }, i, j) => cells[MOST * i + j] > 0.5,
};

const square = (n, valueAt) =>
  Float64Array.from({ length: n * n }, (_, at) => valueAt(Math.floor(at / n), at % n));

// (n, m) times (m, 2), row by row; m is 2 for the projections and n for the output.
const timesPairs = (a, n, pairs) => {
  const m = pairs.length / 2;
  const out = new Float64Array(2 * n);
  for (let i = 0; i < n; i++)
    for (let c = 0; c < 2; c++)
      for (let j = 0; j < m; j++) out[2 * i + c] += a[i * m + j] * pairs[2 * j + c];
  return out;
};

// Weights under one way of masking, with what it does to the rows: their sums, and the mass that
// lies on forbidden keys or, with zeros after the softmax, was taken away there.
const attendBy = (way, scores, permitted, n) => {
  const fill = { "-1e9": -1e9, "-inf": -Infinity, package: -Infinity }[way];
  const masked = scores.map((s, at) => (permitted[at] || fill === undefined ? s : fill));
  const weights = new Float64Array(n * n);
  const [sums, leaked] = [new Float64Array(n), new Float64Array(n)];
  for (let i = 0; i < n; i++) {
    const open = permitted.subarray(i * n, i * n + n).includes(1);
    if (open || way !== "package") softmaxInto(masked, weights, i * n, n);
    for (let at = i * n; at < i * n + n; at++) {
      if (!permitted[at]) leaked[i] += weights[at];
      if (!permitted[at] && fill === undefined) weights[at] = 0;
      sums[i] += weights[at];
    }
  }
  const dead = sums.filter((sum) => Number.isNaN(sum)).length;
  return { way, masked, weights, sums, leaked, dead };
};

// Every step for the present controls. `all` has the four ways; the chosen one's weights, sums and
// leaks stand at the top as well.
export const attendInSteps = (state) => {
  const tokens = tokensOf(state.words).slice(0, MOST);
  const n = tokens.length;
  const { w_q: wq, w_k: wk, w_v: wv, scaled, way } = state;
  const a = state.inputs.slice(0, 2 * n);
  const [q, k, v] = [wq, wk, wv].map((m) => timesPairs(a, n, m));
  const raw = square(n, (i, j) => q[2 * i] * k[2 * j] + q[2 * i + 1] * k[2 * j + 1]);
  const scores = scaled ? raw.map((score) => score / Math.SQRT2) : raw;
  const permitted = Uint8Array.from(square(n, (i, j) => Number(PERMITS[state.mask](state, i, j))));
  const all = WAYS.map((name) => attendBy(name, scores, permitted, n));
  const chosen = all[WAYS.indexOf(way)];
  const output = timesPairs(chosen.weights, n, v);
  const steps = { tokens, n, a, wq, wk, wv, q, k, v, raw, scaled, scores, permitted };
  return { ...steps, ...chosen, output, all };
};

export const resultsOf = ({ scores, weights, output, sums, leaked }) => ({
  scores,
  weights,
  output,
  row_sums: sums,
  leaked,
});
export const compute = (state) => resultsOf(attendInSteps(state));
