// Everything that the panels show (KernelRegressionExplorer.reference computes the same in torch).
import { errorOf, errorsOf, pool, weigh } from "./regression.js";

// The inputs of the curve, of which each `fine`-th has a row in the matrix, and the bandwidths of
// the error's curve, evenly spaced in the logarithm.
export const axesOf = ({ _controls: controls, _shape: [rows, fine, steps] }) => {
  const { query, bandwidth } = Object.fromEntries(controls);
  const count = (rows - 1) * fine;
  const width = query.max - query.min;
  const grid = Array.from({ length: count + 1 }, (_, g) => query.min + (width * g) / count);
  const factor = bandwidth.max / bandwidth.min;
  const bandwidths = Array.from(
    { length: steps },
    (_, s) => bandwidth.min * factor ** (s / (steps - 1)),
  );
  return { rows, fine, grid, bandwidths };
};

// The curve, whether there is any key in the window at its points, and the weights of every
// `fine`-th of them, with the keys in ascending order.
const sweep = ({ x, y, kernel, bandwidth }, { rows, fine, grid }) => {
  const n = x.length;
  const order = x.map((_, i) => i).sort((i, j) => x[i] - x[j]);
  const [row, matrix] = [new Float64Array(n), new Float64Array(rows * n)];
  const full = [];
  const curve = grid.map((query, g) => {
    full[g] = weigh(kernel, bandwidth, query, x, row);
    const from = (g / fine) * n;
    if (g % fine === 0) for (let j = 0; j < n; j++) matrix[from + j] = row[order[j]];
    return pool(row, y);
  });
  return { order, matrix, full, curve, gaps: full.includes(false) };
};

// The dear part: it depends on the points and the kernel only, not on query and bandwidth.
export const looCurveOf = ({ x, y, kernel }, { bandwidths }) =>
  errorsOf(kernel, bandwidths, x, y, { self: false });

export const regress = (state, axes, looCurve) => {
  const { x, y, query, kernel, bandwidth: h } = state;
  const weights = new Float64Array(x.length);
  const found = weigh(kernel, h, query, x, weights);
  const swept = sweep(state, axes);
  const most = Math.max(...weights, ...swept.matrix);
  return {
    x,
    y,
    n: x.length,
    query,
    kernel,
    h,
    weights,
    found,
    ...axes,
    ...swept,
    looCurve,
    best: looCurve.indexOf(Math.min(...looCurve)),
    prediction: pool(weights, y),
    loo: errorOf(kernel, h, x, y, { self: false }),
    training: errorOf(kernel, h, x, y, { self: true }),
    top: [0.05, 0.1, 0.2, 0.5].find((top) => top >= most) ?? 1, // one scale for all weights
  };
};

export const resultsOf = ({ weights, curve, matrix, loo, looCurve }) => ({
  weights,
  curve,
  matrix,
  loo: [loo],
  loo_curve: looCurve,
});
export const compute = (state) => {
  const axes = axesOf(state);
  return resultsOf(regress(state, axes, looCurveOf(state, axes)));
};
