import { button, select, slider } from "../widgets/kit/controls.js";
import { clamp, element, fixed, freshId, setAll, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { heatmap } from "../widgets/kit/heatmap.js";
import { draggable, plane } from "../widgets/kit/plot.js";

// Nadaraya–Watson kernel regression in double precision, and four pictures of it that move together.
const kernels = {
  gaussian: (u) => Math.exp((-u * u) / 2),
  boxcar: (u) => (Math.abs(u) <= 1 ? 0.5 : 0),
  triangular: (u) => Math.max(0, 1 - Math.abs(u)),
  epanechnikov: (u) => 0.75 * Math.max(0, (1 - u) * (1 + u)),
};

// ---- the arithmetic (attn_utils.pooling computes the same in torch)

// The weights of one query for all keys but number `skip`, into row[from …]. A compact kernel may
// find no key in its window: then all weights are 0 and the answer is false.
const weigh = (kernel, h, query, keys, row, from = 0, skip = -1) => {
  const gaussian = kernel === "gaussian";
  const k = kernels[kernel];
  let near = Infinity; // |u| of the nearest key: a common factor cancels, and far away nothing underflows
  if (gaussian) for (let j = 0; j < keys.length; j++) if (j !== skip) near = Math.min(near, Math.abs(query - keys[j]) / h);
  let total = 0;
  for (let j = 0; j < keys.length; j++) {
    const u = (query - keys[j]) / h;
    total += row[from + j] = j === skip ? 0 : gaussian ? Math.exp(((near - u) * (near + u)) / 2) : k(u);
  }
  if (total > 0) for (let j = 0; j < keys.length; j++) row[from + j] /= total;
  return total > 0;
};
const pool = (row, values, from = 0) => {
  let sum = 0;
  for (let j = 0; j < values.length; j++) sum += row[from + j] * values[j];
  return sum;
};
// Mean squared error at the points themselves for each bandwidth, every point seeing all points or
// (without self) all others. The costliest part: so no weights are stored, and what is less than
// e^-40 of the largest is left out.
const errorsOf = (kernel, bandwidths, x, y, { self }) => {
  const gaussian = kernel === "gaussian";
  const k = kernels[kernel];
  const n = x.length;
  const errors = new Float64Array(bandwidths.length);
  for (let i = 0; i < n; i++) {
    const d = x.map((v) => Math.abs(x[i] - v));
    const near = self ? 0 : Math.min(...d.slice(0, i), ...d.slice(i + 1));
    for (let b = 0; b < bandwidths.length; b++) {
      const h = bandwidths[b];
      let [total, sum] = [0, 0];
      for (let j = 0; j < n; j++) {
        if (j === i && !self) continue;
        const score = gaussian ? ((near - d[j]) * (near + d[j])) / (2 * h * h) : 0;
        const a = gaussian ? (score < -40 ? 0 : Math.exp(score)) : k(d[j] / h);
        total += a;
        sum += a * y[j];
      }
      errors[b] += ((total > 0 ? sum / total : 0) - y[i]) ** 2 / n;
    }
  }
  return errors;
};
const errorOf = (kernel, h, x, y, options) => errorsOf(kernel, [h], x, y, options)[0];
// d/dw of the summed leave-one-out squared error for α = softmax(−((x − x_i) w)²/2):
// Σ_i 2 (f − y_i) df/dw with df/dw = −w (Σ_j α d² y_j − f Σ_j α d²), d = x_i − x_j.
const slopeOf = (weight, x, y) => {
  const row = new Float64Array(x.length);
  let slope = 0;
  for (let i = 0; i < x.length; i++) {
    weigh("gaussian", 1 / weight, x[i], x, row, 0, i);
    const square = x.map((v) => (x[i] - v) ** 2);
    const f = pool(row, y);
    slope -= 2 * (f - y[i]) * weight * (pool(row, y.map((v, j) => v * square[j])) - f * pool(row, square));
  }
  return slope;
};

// Everything the panels show, from the present controls.
const regression = (w) => {
  const [rows, fine, steps] = w.model.get("_shape");
  const [axis, widths] = [w.spec("query"), w.spec("bandwidth")];
  const count = (rows - 1) * fine;
  const grid = Array.from({ length: count + 1 }, (_, g) => axis.min + ((axis.max - axis.min) * g) / count);
  const bandwidths = Array.from({ length: steps }, (_, s) => widths.min * (widths.max / widths.min) ** (s / (steps - 1)));
  let last = {};
  return () => {
    const [x, y, query, kernel, h] = ["x", "y", "query", "kernel", "bandwidth"].map(w.get);
    const n = x.length;
    const weights = new Float64Array(n);
    const found = weigh(kernel, h, query, x, weights);
    const order = x.map((_, i) => i).sort((i, j) => x[i] - x[j]);
    const [row, matrix] = [new Float64Array(n), new Float64Array(rows * n)];
    const full = []; // whether a point of the curve has any key in its window
    const curve = grid.map((q, g) => {
      full[g] = weigh(kernel, h, q, x, row);
      if (g % fine === 0) for (let j = 0; j < n; j++) matrix[(g / fine) * n + j] = row[order[j]];
      return pool(row, y);
    });
    // the dear part depends on the points and the kernel only: not on query and bandwidth
    const fresh = x === last.x && y === last.y && kernel === last.kernel;
    const looCurve = fresh ? last.looCurve : errorsOf(kernel, bandwidths, x, y, { self: false });
    const best = looCurve.indexOf(Math.min(...looCurve));
    last = { x, y, query, kernel, h, n, weights, found, order, matrix, full, curve, looCurve, best, grid, bandwidths, fine,
      prediction: pool(weights, y), loo: errorOf(kernel, h, x, y, { self: false }), training: errorOf(kernel, h, x, y, { self: true }) };
    last.gaps = full.includes(false);
    last.top = [0.05, 0.1, 0.2, 0.5].find((t) => t >= Math.max(...weights, ...matrix)) ?? 1; // one scale for all weights
    return last;
  };
};

// ---- the panels: each returns {node, draw(now)}

const short = (v) => (!Number.isFinite(v) ? "–" : Math.abs(v) >= 100 ? v.toFixed(0) : v.toPrecision(3));
// As many digits as a thousandth of the axis: what a drag can mean.
const rounded = (v, { min, max }) => Number(clamp(v, min, max).toFixed(clamp(3 - Math.floor(Math.log10(max - min)), 0, 12)));
const asText = (content, attributes) => Object.assign(svg("text", attributes), { textContent: content });

const curvePanel = (w, state, width) => {
  const [xs, ys] = [w.spec("x"), w.spec("y")];
  const height = Math.round(clamp(width * 0.72, 230, 330));
  const plot = plane(w, { width, height, x: [xs.min, xs.max], y: [ys.min, ys.max], xlabel: "x (query and keys)", ylabel: "y (values)", label: "Points and their kernel regression" });
  const [top, base] = [plot.py(ys.max), plot.py(ys.min)];
  const bump = plot.ink.appendChild(svg("path", { class: "aw-bump" }));
  const ghost = plot.ink.appendChild(svg("path", { class: "aw-ghost" }));
  const curve = plot.line("aw-curve");

  const line = svg("g", { class: "aw-query" }, svg("rect", { class: "aw-reach", x: -12, y: top, width: 24, height: base - top }),
    svg("line", { y1: top, y2: base }), svg("path", { d: `M-10,${top} H10 L0,${top + 13} Z` }), svg("path", { d: `M-10,${base} H10 L0,${base - 13} Z` }));
  const answer = svg("g", { class: "aw-answer" }, svg("path", { d: "M0,-8 L8,0 L0,8 L-8,0 Z" }));
  const label = asText("", { class: "aw-answer-text" });
  const toQuery = (v) => w.set("query", rounded(v, xs));
  const query = draggable(w, plot, line, {
    move: (x) => toQuery(x),
    nudge: (dx) => toQuery(w.get("query") + (dx * (xs.max - xs.min)) / 100),
    describe: () => {
      const now = state();
      const text = now.found ? `query ${short(now.query)}, prediction ${short(now.prediction)}` : `query ${short(now.query)}: no point in the window, all weights are 0`;
      return { name: "query", value: now.query, min: xs.min, max: xs.max, text };
    },
  });

  const put = (i, x, y) => {
    const [allX, allY] = [[...w.get("x")], [...w.get("y")]];
    [allX[i], allY[i]] = [rounded(x, xs), rounded(y, ys)];
    w.set("x", allX);
    w.set("y", allY);
  };
  const points = state().x.map((_, i) => {
    const node = svg("g", { class: "aw-point" }, svg("circle", { class: "aw-reach", r: 13 }), svg("circle", { class: "aw-dot" }));
    const handle = draggable(w, plot, node, {
      move: (x, y) => put(i, x, y),
      nudge: (dx, dy) => put(i, w.get("x")[i] + (dx * (xs.max - xs.min)) / 100, w.get("y")[i] + (dy * (ys.max - ys.min)) / 100),
      describe: () => {
        const now = state();
        return { name: `point ${i + 1}`, value: now.y[i], min: ys.min, max: ys.max,
          text: `point ${i + 1} at x ${short(now.x[i])}, y ${short(now.y[i])}, weight ${fixed(now.weights[i], 3)}` };
      },
    });
    return { node, dot: node.lastChild, handle };
  });
  plot.handles.append(line, ...points.map((p) => p.node), answer, label);

  // The kernel around the query as a soft hill; its height is not to the scale of y.
  const hill = ({ kernel, query, h }) => {
    const reach = kernel === "gaussian" ? 3.5 : 1;
    const us = Array.from({ length: 81 }, (_, i) => reach * (i / 40 - 1));
    const at = (u) => `${plot.px(query + u * h).toFixed(1)},${(base - ((base - top) * 0.3 * kernels[kernel](u)) / kernels[kernel](0)).toFixed(1)}`;
    return `M${plot.px(query - reach * h).toFixed(1)},${base}L${us.map(at).join("L")}L${plot.px(query + reach * h).toFixed(1)},${base}Z`;
  };
  return {
    node: plot.node,
    draw(now) {
      const [px, py] = [plot.px(now.query), plot.py(now.prediction)];
      bump.setAttribute("d", hill(now));
      curve.setAttribute("d", plot.path(now.grid, now.curve.map((v, g) => (now.full[g] ? v : NaN))));
      line.setAttribute("transform", `translate(${px} 0)`);
      setAll(answer, { transform: `translate(${px} ${py})`, display: now.found ? "inline" : "none" });
      const left = px > width - 150;
      setAll(label, { x: px + (left ? -15 : 15), y: clamp(now.found ? py - 10 : top + 30, top + 14, base - 6), "text-anchor": left ? "end" : "start" });
      label.textContent = now.found ? `f(${short(now.query)}) = ${short(now.prediction)}` : "nothing in the window";
      points.forEach(({ node, dot }, i) => {
        node.setAttribute("transform", `translate(${plot.px(now.x[i]).toFixed(1)} ${plot.py(now.y[i]).toFixed(1)})`);
        setAll(dot, { r: Math.sqrt(18 + 420 * now.weights[i]).toFixed(2), "fill-opacity": (0.12 + (0.88 * now.weights[i]) / now.top).toFixed(3) });
      });
    },
    // Spoken values follow once things rest.
    announce() {
      query.announce();
      for (const { handle } of points) handle.announce();
    },
    // A cell of the matrix under the pointer: its key (a point) and its query (a thin line).
    show(i, at) {
      points.forEach(({ node }, k) => node.classList.toggle("aw-picked", k === i));
      ghost.setAttribute("d", at === undefined ? "" : `M${plot.px(at)},${top}V${base}`);
    },
  };
};

const weightPanel = (w, state, width) => {
  const { min, max } = w.spec("x");
  const plot = plane(w, { width, height: 116, x: [min, max], y: [0, 1], xlabel: "x (keys)", ylabel: "weight", label: "The query's weights, one bar for each point" });
  const bars = state().x.map(() => plot.ink.appendChild(svg("rect", { class: "aw-stem", width: 5, rx: 1.5 })));
  return {
    node: plot.node,
    draw(now) {
      plot.setY([0, now.top]);
      bars.forEach((bar, i) => {
        const y = plot.py(now.weights[i]);
        setAll(bar, { x: plot.px(now.x[i]) - 2.5, y, height: plot.py(0) - y });
      });
    },
  };
};

const errorPanel = (w, state, width) => {
  const spec = w.spec("bandwidth");
  const plot = plane(w, { width, height: 178, x: [spec.min, spec.max], y: [0, 1], xlog: true, xlabel: "bandwidth", ylabel: "error", label: "Leave-one-out error against bandwidth" });
  const curve = plot.line("aw-curve");
  const least = plot.ink.appendChild(svg("path", { class: "aw-least" }));
  const line = svg("line", { y1: plot.py(1), y2: plot.py(0) });
  const dot = svg("circle", { class: "aw-dot", r: 7 });
  const marker = svg("g", { class: "aw-marker" }, svg("rect", { class: "aw-reach", x: -14, y: plot.py(1), width: 28, height: plot.py(0) - plot.py(1) }), line, dot);
  const turn = (h) => w.set("bandwidth", clamp(Number(h.toPrecision(3)), spec.min, spec.max));
  plot.handles.append(marker);
  const handle = draggable(w, plot, marker, {
    move: (h) => turn(h),
    nudge: (dx, dy) => turn(w.get("bandwidth") * 1.03 ** (dx + dy)),
    describe: () => ({ name: "bandwidth", value: state().h, min: spec.min, max: spec.max, text: `bandwidth ${short(state().h)}, leave-one-out error ${short(state().loo)}` }),
  });
  return {
    node: element("figure", { className: "aw-error-panel" }, element("figcaption", { textContent: "Leave-one-out error" }), plot.node),
    draw(now) {
      plot.setY([0, Math.max(...now.looCurve, now.loo) * 1.08 || 1]);
      curve.setAttribute("d", plot.path(now.bandwidths, now.looCurve));
      const [x, y] = [plot.px(now.bandwidths[now.best]), plot.py(0)];
      least.setAttribute("d", `M${x},${y - 9}L${x - 6},${y}H${x + 6}Z`);
      marker.setAttribute("transform", `translate(${plot.px(now.h)} 0)`);
      dot.setAttribute("cy", plot.py(now.loo));
    },
    announce: handle.announce,
  };
};

// The step down the leave-one-out loss, and what it did in words.
const learning = (w, state) => {
  const report = element("span", { className: "aw-report", id: freshId(), role: "status" });
  const seen = { overshot: false };
  const step = () => {
    const { x, y, n, h, loo } = state();
    const slope = slopeOf(1 / h, x, y);
    const { min, max } = w.spec("bandwidth");
    const wanted = 1 / Math.abs(1 / h - w.get("learning_rate") * slope); // w enters squared: its sign means nothing
    const next = clamp(Number(wanted.toPrecision(9)), min, max);
    const loss = n * errorOf("gaussian", next, x, y, { self: false });
    const passed = slope * slopeOf(1 / next, x, y) < 0;
    seen.overshot ||= passed;
    w.set("bandwidth", next);
    report.textContent = `w ${short(1 / h)} → ${short(1 / next)}, loss ${short(n * loo)} → ${short(loss)}.`
      + (loss > n * loo ? " Overshot: the loss grew." : passed ? " Overshot: it passed a minimum." : "") + (next !== Number(wanted.toPrecision(9)) ? " The range ends here." : "");
    w.commit();
  };
  const press = button("One gradient step on w", step);
  press.setAttribute("aria-describedby", report.id);
  w.show("kernel", (kernel) => {
    press.disabled = kernel !== "gaussian";
    report.textContent = press.disabled ? "Gaussian only: w is learned through softmax(−((x − xᵢ) w)²/2)." : "";
  });
  const node = element("div", { className: "aw-learning" }, press, slider(w, "learning_rate", { format: short, log: true }), report);
  return { node, seen };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const compute = regression(w);
  let now = compute();
  const state = () => now;
  const readout = element("p", { className: "aw-readout" });
  const learn = learning(w, state);
  w.controls.append(select(w, "kernel"), slider(w, "bandwidth", { format: (h) => `${short(h)}, w = ${short(1 / h)}`, log: true }));

  let panels = [];
  const build = () => {
    const room = w.stage.clientWidth || 670;
    const two = room >= 560; // else the panels stand below each other
    const [main, side] = two ? [Math.round(room * 0.6), Math.round(room * 0.4 - 20)] : [room, room];
    const curve = curvePanel(w, state, main);
    const rowOf = (q) => Math.round(now.grid.findIndex((g) => g >= q) / now.fine);
    const map = heatmap(w, {
      rows: Math.ceil(now.grid.length / now.fine), columns: now.n, width: side, aspect: two ? "1" : "4 / 3", label: "Weights of 50 queries", xlabel: "Keys (points, by x)", ylabel: "Queries",
      nameOf: (i, j, value) => `Query ${short(now.grid[i * now.fine])}, point ${now.order[j] + 1} at ${short(now.x[now.order[j]])}: weight ${fixed(value, 3)}`,
      onPick: (i, j) => curve.show(now.order[j], now.grid[i * now.fine]),
      onPress: (i) => {
        w.set("query", now.grid[i * now.fine]);
        w.commit();
      },
    });
    for (const leaving of ["pointerleave", "focusout"]) map.node.addEventListener(leaving, () => curve.show());
    const drawMap = () => {
      map.draw(now.matrix, [0, now.top]);
      map.mark(rowOf(now.query));
    };
    panels = [curve, weightPanel(w, state, main), { draw: drawMap }, errorPanel(w, state, side)];
    w.stage.replaceChildren(
      element("div", { className: "aw-main" }, panels[0].node, panels[1].node, readout, learn.node),
      element("div", { className: "aw-side-panels" }, map.node, panels[3].node));
  };
  let [built, gaps, resting] = [0, false];
  const draw = () => {
    now = compute();
    if (built !== now.n) build(); // from Python, the number of points may change
    built = now.n;
    for (const panel of panels) panel.draw(now);
    readout.textContent = `Training error ${short(now.training)}, leave-one-out error ${short(now.loo)} (least: ${short(now.looCurve[now.best])}).`
      + (now.gaps ? ` Where the curve has a gap, no point lies within ${short(now.h)}.` : "");
    if (now.gaps && !gaps) w.say(`The curve has gaps: where no point lies within ${short(now.h)}, all weights are 0.`);
    gaps = now.gaps;
    clearTimeout(resting);
    resting = setTimeout(() => panels.forEach((panel) => panel.announce?.()), 150);
  };

  const middle = now.y.reduce((sum, v) => sum + v, 0) / now.n;
  const close = Number((0.05 * now.y.reduce((sum, v) => sum + (v - middle) ** 2 / now.n, 0)).toPrecision(1));
  const spread = (values) => Math.max(...values) - Math.min(...values);
  w.goals([
    { text: "Find the bandwidth with the least leave-one-out error (within 2 %).", reached: () => now.loo <= 1.02 * now.looCurve[now.best] },
    { text: `Make the curve pass through every point (training error below ${close}), then look at the leave-one-out error.`, reached: () => now.training < close },
    { text: "Make the curve flat: average pooling.", reached: () => !now.gaps && spread(now.curve) < 0.05 * spread(now.y) },
    { text: "Let a gradient step overshoot.", reached: () => learn.seen.overshot },
  ]);
  w.begin(draw, () => ({ weights: now.weights, curve: now.curve, matrix: now.matrix, loo: [now.loo], loo_curve: now.looCurve }));
}
export default { render: onceShown(render) };
