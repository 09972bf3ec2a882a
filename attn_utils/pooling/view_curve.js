// The points, the curve through them and the query's line, all but the curve to be dragged; under
// it the query's weights as bars.
import { clamp, element, fixed, setAll, svg } from "../widgets/kit/dom.js";
import { draggable, plane } from "../widgets/kit/plot.js";
import { KERNELS } from "./regression.js";
import { rounded, short } from "./words.js";

const hundredth = ({ min, max }) => (max - min) / 100; // what an arrow key moves

// The kernel around the query as a soft hill; its height is not to the scale of y.
const hillPath = (plot, { top, base }, { kernel, query, h }) => {
  const reach = kernel === "gaussian" ? 3.5 : 1;
  const [height, peak] = [(base - top) * 0.3, KERNELS[kernel](0)];
  const xAt = (u) => plot.px(query + u * h).toFixed(1);
  const us = Array.from({ length: 81 }, (_, i) => reach * (i / 40 - 1));
  const slope = us.map((u) => {
    const y = base - (height * KERNELS[kernel](u)) / peak;
    return `${xAt(u)},${y.toFixed(1)}`;
  });
  return `M${xAt(-reach)},${base}L${slope.join("L")}L${xAt(reach)},${base}Z`;
};

// ---- the query

const queryLine = (view, plot, { top, base }) => {
  const { w } = view;
  const xs = w.spec("x");
  const node = svg(
    "g",
    { class: "aw-query" },
    svg("rect", { class: "aw-reach", x: -12, y: top, width: 24, height: base - top }),
    svg("line", { y1: top, y2: base }),
    svg("path", { d: `M-10,${top} H10 L0,${top + 13} Z` }),
    svg("path", { d: `M-10,${base} H10 L0,${base - 13} Z` }),
  );
  const put = (x) => w.set("query", rounded(x, xs));
  const { announce } = draggable(w, plot, node, {
    move: put,
    nudge: (dx) => put(w.get("query") + dx * hundredth(xs)),
    describe: () => {
      const { query, found, prediction } = view.now;
      const said = found
        ? `, prediction ${short(prediction)}`
        : ": no point in the window, all weights are 0";
      const text = `query ${short(query)}${said}`;
      return { name: "query", value: query, min: xs.min, max: xs.max, text };
    },
  });
  return { node, announce };
};

// Where the curve meets the query's line, and what it says there.
const answerMark = (plot, { top }, width) => {
  const mark = svg("g", { class: "aw-answer" }, svg("path", { d: "M0,-8 L8,0 L0,8 L-8,0 Z" }));
  const label = svg("text", { class: "aw-answer-text" });
  return {
    nodes: [mark, label],
    draw({ query, found, prediction }) {
      const [x, y] = [plot.px(query), plot.py(prediction)];
      const isLeft = x > width - 150; // else the label would leave the plane
      setAll(mark, { transform: `translate(${x} ${y})`, display: found ? "inline" : "none" });
      setAll(label, {
        x: x + (isLeft ? -15 : 15),
        y: top + 14, // where few points lie
        "text-anchor": isLeft ? "end" : "start",
      });
      const said = `f(${short(query)}) = ${short(prediction)}`;
      label.textContent = found ? said : "nothing in the window";
    },
  };
};

// ---- the points

const pointDot = (view, plot, i) => {
  const { w } = view;
  const [xs, ys] = [w.spec("x"), w.spec("y")];
  const dot = svg("circle", { class: "aw-dot" });
  const node = svg("g", { class: "aw-point" }, svg("circle", { class: "aw-reach", r: 13 }), dot);
  const put = (x, y) => {
    const [allX, allY] = [[...w.get("x")], [...w.get("y")]];
    [allX[i], allY[i]] = [rounded(x, xs), rounded(y, ys)];
    w.set("x", allX);
    w.set("y", allY);
  };
  const { announce } = draggable(w, plot, node, {
    move: put,
    nudge: (dx, dy) => put(w.get("x")[i] + dx * hundredth(xs), w.get("y")[i] + dy * hundredth(ys)),
    describe: () => {
      const { x, y, weights } = view.now;
      const name = `point ${i + 1}`;
      const place = `${name} at x ${short(x[i])}, y ${short(y[i])}`;
      const text = `${place}, weight ${fixed(weights[i], 3)}`;
      return { name, value: y[i], min: ys.min, max: ys.max, text };
    },
  });
  const draw = ({ x, y, weights, top }) => {
    const place = `${plot.px(x[i]).toFixed(1)} ${plot.py(y[i]).toFixed(1)}`;
    node.setAttribute("transform", `translate(${place})`);
    setAll(dot, {
      r: Math.sqrt(18 + 420 * weights[i]).toFixed(2),
      "fill-opacity": (0.12 + (0.88 * weights[i]) / top).toFixed(3),
    });
  };
  return { node, announce, draw };
};

// One point is a tab stop; Page Down and Page Up go on to the next, in the order of x.
const rove = (view, points) => {
  const to = (i) => {
    points.forEach(({ node }, j) => {
      node.setAttribute("tabindex", j === i ? 0 : -1);
    });
  };
  points.forEach(({ node }, i) => {
    node.addEventListener("focus", () => to(i));
    node.addEventListener("keydown", (event) => {
      const by = { PageDown: 1, PageUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const { order } = view.now;
      const next = clamp(order.indexOf(i) + by, 0, order.length - 1);
      points[order[next]].node.focus({ preventScroll: true });
    });
  });
  to(0);
};

// ---- the panels

export const curvePanel = (view, width) => {
  const [xs, ys] = [view.w.spec("x"), view.w.spec("y")];
  const plot = plane({
    width,
    height: Math.round(clamp(width * 0.72, 230, 330)),
    x: [xs.min, xs.max],
    y: [ys.min, ys.max],
    xlabel: "x (query and keys)",
    ylabel: "y (values)",
    label: "Points and their kernel regression",
  });
  const frame = { top: plot.py(ys.max), base: plot.py(ys.min) };
  const [bump, ghost] = ["aw-bump", "aw-ghost"].map((name) =>
    plot.ink.appendChild(svg("path", { class: name })),
  );
  const curve = plot.line("aw-curve");
  const query = queryLine(view, plot, frame);
  const points = view.now.x.map((_, i) => pointDot(view, plot, i));
  rove(view, points);
  const answer = answerMark(plot, frame, width);
  plot.handles.append(query.node, ...points.map((point) => point.node), ...answer.nodes);
  return {
    node: plot.node,
    draw(now) {
      const seen = now.curve.map((value, g) => (now.full[g] ? value : NaN)); // else a gap
      bump.setAttribute("d", hillPath(plot, frame, now));
      curve.setAttribute("d", plot.path(now.grid, seen));
      query.node.setAttribute("transform", `translate(${plot.px(now.query)} 0)`);
      answer.draw(now);
      for (const point of points) point.draw(now);
    },
    // Spoken values follow once things rest.
    announce() {
      for (const { announce } of [query, ...points]) announce();
    },
    // A cell of the matrix under the pointer: its key (a point) and its query (a thin line).
    show(key, at) {
      points.forEach(({ node }, i) => {
        node.classList.toggle("aw-picked", i === key);
      });
      const line = at === undefined ? "" : `M${plot.px(at)},${frame.top}V${frame.base}`;
      ghost.setAttribute("d", line);
    },
  };
};

export const weightPanel = (view, width) => {
  const { min, max } = view.w.spec("x");
  const plot = plane({
    width,
    height: 116,
    x: [min, max],
    y: [0, 1],
    xlabel: "x (keys)",
    ylabel: "", // it would lie on the numbers: the caption says it
    label: "The query's weights, one bar for each point",
  });
  const bars = view.now.x.map(() =>
    plot.ink.appendChild(svg("rect", { class: "aw-stem", width: 5, rx: 1.5 })),
  );
  const caption = element("figcaption", { textContent: "Weights of the query" });
  return {
    node: element("figure", { className: "aw-weight-panel" }, caption, plot.node),
    draw({ x, weights, top }) {
      plot.setY([0, top]);
      bars.forEach((bar, i) => {
        const y = plot.py(weights[i]);
        setAll(bar, { x: plot.px(x[i]) - 2.5, y, height: plot.py(0) - y });
      });
    },
  };
};
