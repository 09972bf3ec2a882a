// softmax of `scores[from … from + count)` into `weights` at the same place. Double precision
// inside, so that float32 results agree with torch to the last digit or two.
export const softmaxInto = (scores, weights, from = 0, count = scores.length) => {
  let top = -Infinity;
  for (let j = from; j < from + count; j++) if (scores[j] > top) top = scores[j];
  let total = 0;
  for (let j = from; j < from + count; j++) {
    weights[j] = Math.exp(scores[j] - top);
    total += weights[j];
  }
  for (let j = from; j < from + count; j++) weights[j] /= total;
  return weights;
};

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));

// erf(x) = 2/√π e^(−x²) Σ 2ⁿ x^(2n+1) / (1·3·5 … (2n+1)): no term is negative,
// nothing cancels.
const erf = (x) => {
  if (Math.abs(x) > 5) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-13 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
};
export const gelu = (x) => (x / 2) * (1 + erf(x * Math.SQRT1_2));

export const addTo = (x, y) => {
  for (let k = 0; k < y.length; k++) x[k] += y[k];
};

// The rows of x times a weight matrix stored like nn.Linear's, (outputs, inputs), plus the bias if
// there is one. Two rows and four outputs at a time are four times as fast as one by one: each
// number that is fetched is used more than once. At an edge the last row or output is computed
// again in place of those that are not there.
export const linear = (x, rows, weight, bias = null) => {
  const inputs = x.length / rows;
  const outputs = weight.length / inputs;
  const y = new Float64Array(rows * outputs);
  const product = { x, weight, bias: bias ?? new Float64Array(outputs), y, inputs, outputs };
  for (let o = 0; o < outputs; o += 4) {
    const [p, q, r] = [1, 2, 3].map((step) => Math.min(o + step, outputs - 1));
    for (let i = 0; i < rows; i += 2)
      dotProducts(product, i, Math.min(i + 1, rows - 1), o, p, q, r);
  }
  return y;
};

// Rows i and j with outputs o, p, q and r.
const dotProducts = ({ x, weight, bias, y, inputs, outputs }, i, j, o, p, q, r) => {
  let [io, ip, iq, ir, jo, jp, jq, jr] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let k = 0; k < inputs; k++) {
    const xi = x[i * inputs + k];
    const xj = x[j * inputs + k];
    const wo = weight[o * inputs + k];
    const wp = weight[p * inputs + k];
    const wq = weight[q * inputs + k];
    const wr = weight[r * inputs + k];
    io += xi * wo;
    ip += xi * wp;
    iq += xi * wq;
    ir += xi * wr;
    jo += xj * wo;
    jp += xj * wp;
    jq += xj * wq;
    jr += xj * wr;
  }
  y[i * outputs + o] = io + bias[o];
  y[i * outputs + p] = ip + bias[p];
  y[i * outputs + q] = iq + bias[q];
  y[i * outputs + r] = ir + bias[r];
  y[j * outputs + o] = jo + bias[o];
  y[j * outputs + p] = jp + bias[p];
  y[j * outputs + q] = jq + bias[q];
  y[j * outputs + r] = jr + bias[r];
};

export const layerNorm = (x, rows, weight, bias, eps = 1e-6) => {
  const width = x.length / rows;
  const y = new Float64Array(x.length);
  for (let i = 0; i < x.length; i += width) {
    let [mean, variance] = [0, 0];
    for (let k = 0; k < width; k++) mean += x[i + k] / width;
    for (let k = 0; k < width; k++) variance += (x[i + k] - mean) ** 2 / width;
    const scale = 1 / Math.sqrt(variance + eps);
    for (let k = 0; k < width; k++) y[i + k] = (x[i + k] - mean) * scale * weight[k] + bias[k];
  }
  return y;
};

// Rotary positions: radians a position for each pair of features, and the turning of the pairs in
// the rows of x, in place. Row i stands at position `start` + i; several heads lie side by side.
export const frequenciesOf = (base, width) =>
  Float64Array.from({ length: width / 2 }, (_, j) => base ** ((-2 * j) / width));
export const turnRows = (x, width, omega, start = 0) => {
  for (let at = 0; at < x.length; at += 2) {
    const angle = (start + Math.floor(at / width)) * omega[((at % width) >> 1) % omega.length];
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const [a, b] = [x[at], x[at + 1]];
    x[at] = a * cos - b * sin;
    x[at + 1] = a * sin + b * cos;
  }
};

// Scaled dot-product attention of `queries` rows of q over `keys` rows of k and v. With several
// heads, theirs lie side by side in each row. Gives the output, a row for each query, and the
// weights, (heads, queries, keys).
export const attention = (q, k, v, { queries, keys, heads = 1 }) => {
  const [width, valueWidth] = [q.length / queries, v.length / keys];
  const [d, dv] = [width / heads, valueWidth / heads];
  const output = new Float64Array(queries * valueWidth);
  const weights = new Float64Array(heads * queries * keys);
  const scale = 1 / Math.sqrt(d);
  for (let h = 0; h < heads; h++)
    for (let i = 0; i < queries; i++) {
      const row = (h * queries + i) * keys;
      for (let j = 0; j < keys; j++) {
        let score = 0;
        for (let c = 0, a = i * width + h * d, b = j * width + h * d; c < d; c++)
          score += q[a + c] * k[b + c];
        weights[row + j] = score * scale;
      }
      softmaxInto(weights, weights, row, keys);
      for (let j = 0; j < keys; j++) {
        const weight = weights[row + j];
        for (let c = 0, a = i * valueWidth + h * dv, b = j * valueWidth + h * dv; c < dv; c++)
          output[a + c] += weight * v[b + c];
      }
    }
  return { output, weights };
};

// One step of a GRU for one vector x and state h, with the gates in PyTorch's order: reset,
// update, new. The parameters have the names of nn.GRUCell's.
export const gruStep = ({ weight_ih, weight_hh, bias_ih, bias_hh }, x, h) => {
  const fromInput = linear(x, 1, weight_ih, bias_ih);
  const fromState = linear(h, 1, weight_hh, bias_hh);
  const n = h.length;
  return h.map((old, k) => {
    const reset = sigmoid(fromInput[k] + fromState[k]);
    const update = sigmoid(fromInput[n + k] + fromState[n + k]);
    const fresh = Math.tanh(fromInput[2 * n + k] + reset * fromState[2 * n + k]);
    return (1 - update) * fresh + update * old;
  });
};
