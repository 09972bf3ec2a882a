// A small plane for curves and things to drag: data coordinates in, SVG out.
import { clamp, freshId, holdTouch, setAll, svg } from "./dom.js";

const PLANE_PAD = { left: 46, right: 10, top: 10, bottom: 38 };

// `x` and `y` are ranges; `xlog` makes x logarithmic, `xformat` and `yformat` write its ticks.
export const plane = (options) => {
  const scales = planeScales(options);
  const { xOf, yOf, px, py } = scales;
  const axes = svg("g", { class: "aw-axes", "aria-hidden": "true" });
  const { node, ink, handles } = planeLayers(options, scales, axes);
  const drawAxes = () => axes.replaceChildren(...planeAxes(options, scales));
  drawAxes();

  return {
    node,
    ink,
    handles,
    px,
    py,
    setY(range) {
      if (range[0] === scales.y[0] && range[1] === scales.y[1]) return;
      scales.y = range;
      drawAxes();
    },
    toData({ clientX, clientY }) {
      const point = new DOMPoint(clientX, clientY).matrixTransform(node.getScreenCTM().inverse());
      return [xOf(point.x), yOf(point.y)];
    },
    // "M x,y L …" through the points; a non-finite y lifts the pen.
    path(xs, ys) {
      let d = "";
      let pen = "M";
      for (let i = 0; i < xs.length; i++) {
        if (!Number.isFinite(ys[i])) {
          pen = "M";
          continue;
        }
        d += `${pen}${px(xs[i]).toFixed(1)},${py(ys[i]).toFixed(1)}`;
        pen = "L";
      }
      return d;
    },
    line: (className) => ink.appendChild(svg("path", { class: `aw-line ${className}` })),
  };
};

// From data to the SVG's coordinates and back. The range of y may change; x stays.
const planeScales = ({ width = 480, height = 280, x, y, xlog = false }) => {
  const wide = width - PLANE_PAD.left - PLANE_PAD.right;
  const high = height - PLANE_PAD.top - PLANE_PAD.bottom;
  const along = xlog ? Math.log : (v) => v;
  const back = xlog ? Math.exp : (v) => v;
  const [x0, x1] = x.map(along);
  const scales = { width, height, wide, high, y };
  return Object.assign(scales, {
    px: (v) => PLANE_PAD.left + ((along(v) - x0) / (x1 - x0)) * wide,
    py: (v) => PLANE_PAD.top + high - ((v - scales.y[0]) / (scales.y[1] - scales.y[0])) * high,
    xOf: (p) => back(x0 + ((p - PLANE_PAD.left) / wide) * (x1 - x0)),
    yOf: (p) => scales.y[0] + ((PLANE_PAD.top + high - p) / high) * (scales.y[1] - scales.y[0]),
  });
};

// Curves are cut off at the axes, handles are not.
const planeLayers = ({ label }, { width, height, wide, high }, axes) => {
  const clip = freshId();
  const window = svg("rect", { x: PLANE_PAD.left, y: PLANE_PAD.top, width: wide, height: high });
  const ink = svg("g", { "clip-path": `url(#${clip})` });
  const handles = svg("g");
  const attributes = {
    viewBox: `0 0 ${width} ${height}`,
    class: "aw-plane",
    role: "group",
    "aria-label": label,
    "data-export": "",
  };
  const cut = svg("clipPath", { id: clip }, window);
  return { node: svg("svg", attributes, cut, axes, ink, handles), ink, handles };
};

const planeAxes = (options, { width, height, wide, high, y, px, py }) => {
  const { x, xlabel, ylabel, xlog, xformat = String, yformat = String } = options;
  const [right, bottom] = [width - PLANE_PAD.right, height - PLANE_PAD.bottom];
  const xticks = xlog ? logTicksOf(...x, 30 / wide) : ticksOf(...x);
  const yticks = ticksOf(...y, clamp(Math.round(high / 45), 2, 4));
  const middle = PLANE_PAD.top + high / 2;
  return [
    ...xticks.flatMap((v) => [
      svg("line", { x1: px(v), x2: px(v), y1: PLANE_PAD.top, y2: bottom }),
      svgText(xformat(v), { x: px(v), y: height - 22, "text-anchor": "middle" }),
    ]),
    ...yticks.flatMap((v) => [
      svg("line", { x1: PLANE_PAD.left, x2: right, y1: py(v), y2: py(v) }),
      svgText(yformat(v), { x: PLANE_PAD.left - 6, y: py(v) + 4, "text-anchor": "end" }),
    ]),
    axisLabel(xlabel, { x: PLANE_PAD.left + wide / 2, y: height - 5 }),
    axisLabel(ylabel, { x: 11, y: middle, transform: `rotate(-90 11 ${middle})` }),
  ];
};

const svgText = (content, attributes) => svg("text", attributes, content);
const axisLabel = (content, attributes) =>
  svgText(content, { ...attributes, "text-anchor": "middle", class: "aw-axis-label" });

const ticksOf = (from, to, about = 5) => {
  const rough = (to - from) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((m) => m * power >= rough) ?? 10);
  const first = Math.ceil(from / step - 1e-9);
  const count = Math.floor(to / step + 1e-9) - first + 1;
  // 12 digits: 3 · 0.1 is to be read as 0.3
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
};

// Ticks of a logarithmic axis: as many per decade as leave `room` between labels (in axis lengths).
const logTicksOf = (from, to, room) => {
  const decades = Math.log(to / from);
  const gapOf = (marks) =>
    Math.min(...marks.map((mark, i) => Math.log((marks[i + 1] ?? 10 * marks[0]) / mark))) / decades;
  const marks = [
    [1, 2, 5],
    [1, 3],
  ].find((candidate) => gapOf(candidate) >= room) ?? [1];
  const [low, high] = [Math.floor(Math.log10(from)), Math.ceil(Math.log10(to))];
  const all = Array.from({ length: high - low + 1 }, (_, i) =>
    marks.map((mark) => Number(`${mark}e${low + i}`)),
  ).flat();
  return all.filter((v) => v >= from * 0.999 && v <= to * 1.001);
};

const HANDLE_STEPS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
  Home: [-1e6, 0], // further than any axis is long
  End: [1e6, 0],
};

// Makes an SVG node something to drag and to move by arrow keys (role slider).
// `move(x, y)` gets data coordinates, `nudge(dx, dy)` counts arrow keys (Shift: ten at once);
// `describe()` says what it is worth now: {name, value, min, max, text}.
export const draggable = (w, plot, node, { move, nudge, describe }) => {
  const className = `${node.getAttribute("class") ?? ""} aw-handle`.trim();
  setAll(node, { tabindex: 0, role: "slider", class: className });
  holdTouch(node);
  const announce = () => {
    const { name, value, min, max, text } = describe();
    setAll(node, {
      "aria-label": name,
      "aria-valuenow": value,
      "aria-valuemin": min,
      "aria-valuemax": max,
      "aria-valuetext": text,
    });
  };
  dragByPointer(node, {
    drag: (event) => {
      move(...plot.toData(event));
      announce();
    },
    drop: () => {
      w.say(describe().text);
      w.commit();
    },
  });
  node.addEventListener("keydown", (event) => {
    const step = HANDLE_STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const times = event.shiftKey ? 10 : 1;
    nudge(step[0] * times, step[1] * times);
    announce();
    w.commitSoon();
  });
  announce();
  return { announce };
};

// One pointer at a time: a second finger neither takes over nor lets go.
const dragByPointer = (node, { drag, drop }) => {
  let held = null;
  node.addEventListener("pointerdown", (event) => {
    held = event.pointerId;
    node.setPointerCapture(held);
    node.focus({ preventScroll: true });
    event.preventDefault();
  });
  node.addEventListener("pointermove", (event) => {
    if (event.pointerId === held) drag(event);
  });
  const release = (event) => {
    if (event.pointerId !== held) return;
    held = null;
    drop();
  };
  node.addEventListener("pointerup", release);
  node.addEventListener("pointercancel", release);
};
