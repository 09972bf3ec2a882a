// Kernel regression, and four pictures of it that move together.
import { select, slider } from "../widgets/kit/controls.js";
import { element, fixed } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { heatmap } from "../widgets/kit/heatmap.js";
import { pythonFor } from "../widgets/kit/share.js";
import { axesOf, looCurveOf, regress, resultsOf } from "./compute.js";
import { curvePanel, weightPanel } from "./view_curve.js";
import { errorPanel, lastStep, learningRow } from "./view_error.js";
import { short } from "./words.js";

const STATE = ["x", "y", "query", "kernel", "bandwidth"];

const refresh = (view) => {
  const { w, axes, now: last } = view;
  const state = w.state(STATE);
  const isSame = last && ["x", "y", "kernel"].every((name) => state[name] === last[name]);
  view.now = regress(state, axes, isSame ? last.looCurve : looCurveOf(state, axes));
};

// An explorer computes its ranges from the points it is made with, unless it is given some. These
// points may have been moved: so the ranges go along, and whatever else would follow from them.
const pythonWith = (w) => (className, changed) => {
  if (!("x" in changed || "y" in changed || w.get("_own_ranges")))
    return pythonFor(className, changed);
  const rangeOf = (name) => [w.spec(name).min, w.spec(name).max];
  const taken = ["x", "y", "query", "bandwidth", "learning_rate"];
  return pythonFor(className, {
    ...changed,
    ...w.state(taken),
    x_range: rangeOf("x"),
    y_range: rangeOf("y"),
  });
};

// ---- the panels

const matrixPanel = (view, curve, { width, isWide }) => {
  const { w, now } = view;
  const queryOf = (i) => now.grid[i * now.fine];
  const map = heatmap(w, {
    rows: now.rows,
    columns: now.n,
    width,
    aspect: isWide ? "1" : "4 / 3",
    label: "Weights of 50 queries",
    xlabel: "Keys (points, by x)",
    ylabel: "Queries",
    nameOf: (i, j, value) => {
      const { order, x } = view.now;
      const point = `point ${order[j] + 1} at ${short(x[order[j]])}`;
      return `Query ${short(queryOf(i))}, ${point}: weight ${fixed(value, 3)}`;
    },
    onPick: (i, j) => curve.show(view.now.order[j], queryOf(i)),
    onPress: (i) => {
      w.set("query", queryOf(i));
      w.commit();
    },
  });
  for (const leaving of ["pointerleave", "focusout"])
    map.node.addEventListener(leaving, () => curve.show());
  return {
    node: map.node,
    draw({ matrix, top, grid, query, fine }) {
      map.draw(matrix, [0, top]);
      map.mark(Math.round(grid.findIndex((g) => g >= query) / fine));
    },
  };
};

const LEGEND =
  "Blue hill: the kernel around the query. Diamond: the prediction. Green triangle, at the " +
  "error: the bandwidth with the least. With the keyboard, Page Down and Page Up go from point " +
  "to point.";

const build = (view) => {
  const room = view.w.stage.clientWidth || 670;
  const isWide = room >= 560; // else the panels stand below each other
  const main = isWide ? Math.round(room * 0.6) : room;
  const side = isWide ? Math.round(room * 0.4 - 20) : room;
  const curve = curvePanel(view, main);
  const map = matrixPanel(view, curve, { width: side, isWide });
  const [weights, error] = [weightPanel(view, main), errorPanel(view, side)];
  view.panels = [curve, weights, map, error];
  const legend = element("p", { className: "aw-legend", textContent: LEGEND });
  const mainNodes = [curve.node, legend, weights.node, view.readout, view.learning];
  view.w.stage.replaceChildren(
    element("div", { className: "aw-main" }, ...mainNodes),
    element("div", { className: "aw-side-panels" }, map.node, error.node),
  );
};

const readoutOf = ({ training, loo, looCurve, best, gaps, h }) => {
  const least = `least: ${short(looCurve[best])}`;
  const gap = ` Where the curve has a gap, no point lies within ${short(h)}.`;
  const errors = `Training error ${short(training)}, leave-one-out error ${short(loo)} (${least}).`;
  return `${errors}${gaps ? gap : ""}`;
};

const draw = (view) => {
  const hadGaps = view.now.gaps && view.built; // at the start they are said as well
  refresh(view);
  const { w, now } = view;
  if (view.built !== now.n) build(view); // from Python, the number of points may change
  view.built = now.n;
  for (const panel of view.panels) panel.draw(now);
  view.readout.textContent = readoutOf(now);
  if (now.gaps && !hadGaps)
    w.say(`The curve has gaps: where no point lies within ${short(now.h)}, all weights are 0.`);
  clearTimeout(view.resting);
  view.resting = setTimeout(() => {
    for (const panel of view.panels) panel.announce?.();
  }, 150);
};

// ---- goals

const CLOSE = 0.03; // to every point: a mean squared error, as a share of the variance of y

const goalsOf = (view) => {
  const { y, n } = view.now;
  const middle = y.reduce((sum, value) => sum + value, 0) / n;
  const variance = y.reduce((sum, value) => sum + (value - middle) ** 2 / n, 0);
  const close = Number((CLOSE * variance).toPrecision(1));
  const spread = (values) => Math.max(...values) - Math.min(...values);
  return [
    {
      text: "Find the bandwidth with the least leave-one-out error (within 2 %).",
      reached: () => view.now.loo <= 1.02 * view.now.looCurve[view.now.best],
    },
    {
      text:
        `Bring the curve close to every point (training error below ${close}), then look at ` +
        "the leave-one-out error.",
      reached: () => view.now.training < close,
    },
    {
      text: "Make the curve flat: average pooling.",
      reached: () => !view.now.gaps && spread(view.now.curve) < 0.05 * spread(view.now.y),
    },
    { text: "Let a gradient step overshoot.", reached: () => lastStep(view)?.passed },
  ];
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  w.python = pythonWith(w);
  const axes = axesOf({ _controls: w.get("_controls"), _shape: w.get("_shape") });
  const view = { w, axes, now: null, panels: [], built: 0, step: null, resting: undefined };
  refresh(view);
  view.readout = element("p", { className: "aw-readout" });
  view.learning = learningRow(view);
  const bandwidth = { format: (h) => `${short(h)}, w = ${short(1 / h)}`, log: true };
  w.controls.append(select(w, "kernel"), slider(w, "bandwidth", bandwidth));
  w.goals(goalsOf(view));
  w.begin(
    () => draw(view),
    () => resultsOf(view.now),
  );
}
export default { render: onceShown(render) };
