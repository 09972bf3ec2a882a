// The plane: the field of scores as colours, the query as an arrow and the keys as discs to drag.
import { clamp, element, fixed, setAll, svg } from "../widgets/kit/dom.js";
import { draggable, plane } from "../widgets/kit/plot.js";
import { onThemeChange, signedRamp } from "../widgets/kit/theme.js";
import { RULES } from "./compute.js";
import { contours } from "./contours.js";

const LEVELS = [-0.8, -0.6, -0.4, -0.2, 0.2, 0.4, 0.6, 0.8]; // of lines, as shares of the largest
const STEP = 0.1; // of an arrow key

export const signed = (v) => (v < 0 ? `−${fixed(-v)}` : fixed(v));

// ---- colours

const fieldCanvas = (plot, { grid, bound }, { width, height }) => {
  const node = element("canvas", { width: 256, height: 256, ariaHidden: "true" });
  const [left, top, side] = [plot.px(-bound), plot.py(bound), plot.px(bound) - plot.px(-bound)];
  const percent = (part, whole) => `${(100 * part) / whole}%`;
  Object.assign(node.style, {
    left: percent(left, width),
    top: percent(top, height),
    width: percent(side, width),
    height: percent(side, height),
  });
  node.dataset.export = "";
  const small = element("canvas", { width: grid, height: grid });
  const image = small.getContext("2d").createImageData(grid, grid);
  const pixels = new Uint32Array(image.data.buffer);
  const paint = (field, most, ramp) => {
    const factor = most ? 127.5 / most : 0;
    for (let k = 0; k < pixels.length; k++)
      pixels[k] = ramp[Math.floor(clamp(127.5 + field[k] * factor, 0, 255))];
    small.getContext("2d").putImageData(image, 0, 0);
    node.getContext("2d").drawImage(small, 0, 0, 256, 256); // smoothed
  };
  return { node, paint };
};

const signedScale = () => {
  const strip = element("canvas", { width: 256, height: 1, ariaHidden: "true" });
  const [low, high] = [element("span"), element("span")];
  return {
    node: element("div", { className: "aw-signed-scale" }, low, strip, high),
    paint(ramp) {
      const line = strip.getContext("2d").createImageData(256, 1);
      new Uint32Array(line.data.buffer).set(ramp);
      strip.getContext("2d").putImageData(line, 0, 0);
    },
    label(most) {
      [low.textContent, high.textContent] = [signed(-most), `+${fixed(most)}`];
    },
  };
};

// ---- things to drag

const onGrid = ({ sizes: { bound } }, v) => Number(clamp(v, -bound, bound).toFixed(2));

const queryArrow = (view, plot) => {
  const { w, sizes } = view;
  const shaft = svg("line", { class: "aw-shaft", x1: plot.px(0), y1: plot.py(0) });
  const tag = svg("text", { class: "aw-q" }, "q");
  const node = svg(
    "g",
    { class: "aw-arrow" },
    svg("circle", { class: "aw-reach", r: 16 }),
    svg("path", { d: "M9,0 L-9,-8 L-4,0 L-9,8 Z" }),
  );
  const put = (x, y) => w.set("query", [onGrid(view, x), onGrid(view, y)]);
  const handle = draggable(w, plot, node, {
    move: put,
    nudge: (dx, dy) => put(w.get("query")[0] + dx * STEP, w.get("query")[1] + dy * STEP),
    describe: () => {
      const [x, y] = w.get("query");
      const text = `query at ${fixed(x)}, ${fixed(y)}`;
      return { name: "query", value: x, min: -sizes.bound, max: sizes.bound, text };
    },
  });
  const draw = (query) => {
    const [x, y] = [plot.px(query[0]), plot.py(query[1])];
    const [across, down] = [x - plot.px(0), y - plot.py(0)];
    const long = Math.hypot(across, down) || 1;
    const turn = ((Math.atan2(down, across) * 180) / Math.PI).toFixed(1);
    setAll(shaft, { x2: x, y2: y });
    node.setAttribute("transform", `translate(${x} ${y}) rotate(${turn})`);
    setAll(tag, { x: x + (14 * across) / long - 4, y: y + (16 * down) / long + 4 });
  };
  return { shaft, tag, node, announce: handle.announce, draw };
};

const keyDisc = (view, plot, i) => {
  const { w, sizes } = view;
  const disc = svg("circle", { class: "aw-disc" });
  const reach = svg("circle", { class: "aw-reach", r: 16 });
  const node = svg("g", { class: "aw-key" }, reach, disc, svg("text", { y: 4.5 }, String(i + 1)));
  const put = (x, y) => {
    const flat = [...w.get("key_points")];
    [flat[2 * i], flat[2 * i + 1]] = [onGrid(view, x), onGrid(view, y)];
    w.set("key_points", flat);
  };
  const handle = draggable(w, plot, node, {
    move: put,
    nudge: (dx, dy) => {
      const [x, y] = w.get("key_points").slice(2 * i, 2 * i + 2);
      put(x + dx * STEP, y + dy * STEP);
    },
    describe: () => {
      const { keys, scores, weights } = view.now.weighed;
      const [x, y] = keys[i];
      const where = `key ${i + 1} at ${fixed(x)}, ${fixed(y)}`;
      const text = `${where}: score ${fixed(scores[i])}, weight ${fixed(weights[i], 3)}`;
      return { name: `key ${i + 1}`, value: x, min: -sizes.bound, max: sizes.bound, text };
    },
  });
  const draw = ([x, y], weight, isBest) => {
    const place = `${plot.px(x).toFixed(1)} ${plot.py(y).toFixed(1)}`;
    node.setAttribute("transform", `translate(${place})`);
    node.classList.toggle("aw-best", isBest);
    disc.setAttribute("r", Math.sqrt(64 + 460 * weight).toFixed(2));
  };
  return { node, announce: handle.announce, draw };
};

// ---- the panel

// Lines of equal score, and the thick one through the winner.
const scoreLines = (plot, { grid, bound }) => {
  const faint = plot.ink.appendChild(svg("path", { class: "aw-contours" }));
  const winning = plot.ink.appendChild(svg("path", { class: "aw-winning" }));
  const [left, top] = [plot.px(-bound), plot.py(bound)];
  const cell = (plot.px(bound) - left) / grid;
  const toPoint = (row, column) =>
    `${(left + (column + 0.5) * cell).toFixed(1)},${(top + (row + 0.5) * cell).toFixed(1)}`;
  const draw = (path, field, levels) =>
    path.setAttribute("d", contours(field, grid, levels, toPoint));
  return {
    drawFaint: (field, most) => draw(faint, field, most ? LEVELS.map((share) => share * most) : []),
    drawWinning: (field, level) => draw(winning, field, [level]),
  };
};

// Paints the field again only where it has changed, or the theme.
const repaint = ({ canvas, lines, scale, caption }, { field, most, rule }, ramp) => {
  canvas.paint(field, most, ramp);
  lines.drawFaint(field, most);
  scale.label(most);
  caption.textContent = `Score of a key at each point, rule: ${rule}`;
};

export const planePanel = (view, width) => {
  const { w, sizes } = view;
  const height = width - 8; // the margins of a plane are wider than high: the plot itself is square
  const plot = plane({
    width,
    height,
    x: [-sizes.bound, sizes.bound],
    y: [-sizes.bound, sizes.bound],
    xlabel: "first coordinate",
    ylabel: "second coordinate",
    label: "The query, the keys, and the score at every point",
  });
  const canvas = fieldCanvas(plot, sizes, { width, height });
  const lines = scoreLines(plot, sizes);
  const [scale, caption] = [signedScale(), element("figcaption")];
  const parts = { canvas, lines, scale, caption };
  const query = queryArrow(view, plot);
  const discs = view.now.weighed.keys.map((_, i) => keyDisc(view, plot, i));
  plot.handles.append(query.shaft, query.tag, ...discs.map((disc) => disc.node), query.node);
  let [ramp, painted] = [signedRamp(w.box), null];
  onThemeChange(() => {
    ramp = signedRamp(w.box);
    canvas.paint(view.now.field, view.now.most, ramp);
    scale.paint(ramp);
  }, w.signal);
  scale.paint(ramp);
  const stack = element("div", { className: "aw-score-plane" }, canvas.node, plot.node);
  return {
    node: element("figure", { className: "aw-score-figure" }, caption, stack, scale.node),
    draw(now) {
      if (painted !== now.field) repaint(parts, now, ramp);
      painted = now.field;
      const { keys, scores, weights, winners } = now.weighed;
      const best = winners[RULES.indexOf(now.rule)];
      lines.drawWinning(now.field, scores[best]);
      query.draw(now.query);
      discs.forEach((disc, i) => {
        disc.draw(keys[i], weights[i], i === best);
      });
    },
    announce() {
      for (const { announce } of [query, ...discs]) announce();
    },
  };
};
