// Nadaraya–Watson kernel regression in double precision (attn_utils.pooling: the same in torch).

// Up to a factor, which cancels in the weights.
export const KERNELS = {
  gaussian: (u) => Math.exp((-u * u) / 2),
  boxcar: (u) => (Math.abs(u) <= 1 ? 0.5 : 0),
  triangular: (u) => Math.max(0, 1 - Math.abs(u)),
  epanechnikov: (u) => 0.75 * Math.max(0, (1 - u) * (1 + u)),
};

// |u| of the nearest key but number `skip`.
const nearest = (h, query, keys, skip) => {
  let near = Infinity;
  for (let j = 0; j < keys.length; j++)
    if (j !== skip) near = Math.min(near, Math.abs(query - keys[j]) / h);
  return near;
};

// The weights of one query for all keys but number `skip`, into `row`. A compact kernel may find no
// key in its window: then all weights are 0 and the answer is false. For the Gaussian the nearest
// key gets e⁰: a common factor cancels, and far away nothing underflows.
export const weigh = (kernel, h, query, keys, row, skip = -1) => {
  const near = kernel === "gaussian" ? nearest(h, query, keys, skip) : 0;
  const valueAt =
    kernel === "gaussian" ? (u) => Math.exp(((near - u) * (near + u)) / 2) : KERNELS[kernel];
  let total = 0;
  for (let j = 0; j < keys.length; j++)
    total += row[j] = j === skip ? 0 : valueAt((query - keys[j]) / h);
  if (total > 0) for (let j = 0; j < keys.length; j++) row[j] /= total;
  return total > 0;
};
export const pool = (row, values) => {
  let sum = 0;
  for (let j = 0; j < values.length; j++) sum += row[j] * values[j];
  return sum;
};

// The prediction for point i from its distances to all points, itself left out unless `self`. What
// is less than e^-40 of the largest weight is left out.
const predictionAt = (i, kernel, h, distances, near, y, self) => {
  const valueAt = KERNELS[kernel];
  const isGaussian = kernel === "gaussian";
  let [total, sum] = [0, 0];
  for (let j = 0; j < y.length; j++) {
    if (j === i && !self) continue;
    const d = distances[j];
    const score = isGaussian ? ((near - d) * (near + d)) / (2 * h * h) : 0;
    const weight = isGaussian ? (score < -40 ? 0 : Math.exp(score)) : valueAt(d / h);
    total += weight;
    sum += weight * y[j];
  }
  return total > 0 ? sum / total : 0;
};
// Mean squared error at the points themselves for each bandwidth, every point seeing all points or
// (without self) all others. The costliest part: no weights are stored.
export const errorsOf = (kernel, bandwidths, x, y, { self }) => {
  const n = x.length;
  const errors = new Float64Array(bandwidths.length);
  for (let i = 0; i < n; i++) {
    const distances = x.map((v) => Math.abs(x[i] - v));
    const near = self ? 0 : Math.min(...distances.slice(0, i), ...distances.slice(i + 1));
    bandwidths.forEach((h, b) => {
      errors[b] += (predictionAt(i, kernel, h, distances, near, y, self) - y[i]) ** 2 / n;
    });
  }
  return errors;
};
export const errorOf = (kernel, h, x, y, options) => errorsOf(kernel, [h], x, y, options)[0];

// ---- learning w = 1 / bandwidth

// d/dw of the summed leave-one-out squared error for α = softmax(−((x − x_i) w)²/2):
// Σ_i 2 (f − y_i) df/dw with df/dw = −w (Σ_j α d² y_j − f Σ_j α d²), d = x_i − x_j.
const slopeOf = (weight, x, y) => {
  const row = new Float64Array(x.length);
  let slope = 0;
  for (let i = 0; i < x.length; i++) {
    weigh("gaussian", 1 / weight, x[i], x, row, i);
    const square = x.map((v) => (x[i] - v) ** 2);
    const f = pool(row, y);
    const squareValues = y.map((v, j) => v * square[j]);
    slope -= 2 * (f - y[i]) * weight * (pool(row, squareValues) - f * pool(row, square));
  }
  return slope;
};
// One step against the slope, kept between `min` and `max`: the new bandwidth, the summed losses
// before and after, and whether a minimum was passed or the range ended.
export const gradientStep = ({ x, y, bandwidth, rate, min, max }) => {
  const lossAt = (h) => x.length * errorOf("gaussian", h, x, y, { self: false });
  const slope = slopeOf(1 / bandwidth, x, y);
  const w = Math.abs(1 / bandwidth - rate * slope); // it enters squared: its sign means nothing
  const wanted = Number((1 / w).toPrecision(9));
  const next = Math.min(max, Math.max(min, wanted));
  return {
    next,
    losses: [lossAt(bandwidth), lossAt(next)],
    passed: slope * slopeOf(1 / next, x, y) < 0,
    isAtEnd: next !== wanted,
  };
};
