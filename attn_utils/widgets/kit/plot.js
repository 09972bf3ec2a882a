import { clamp, freshId, holdTouch, setAll, svg } from "./dom.js";

// A small plane for curves and things to drag: data coordinates in, SVG out.
const ticksOf = (from, to, about = 5) => {
  const rough = (to - from) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((m) => m * power >= rough) ?? 10);
  const first = Math.ceil(from / step - 1e-9);
  return Array.from({ length: Math.floor(to / step + 1e-9) - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
};

// Ticks of a logarithmic axis: as many per decade as leave `room` between labels (in axis lengths).
const logTicksOf = (from, to, room) => {
  const [low, high] = [Math.floor(Math.log10(from)), Math.ceil(Math.log10(to))];
  const gap = (marks) =>
    Math.min(...marks.map((m, i) => Math.log((marks[i + 1] ?? 10 * marks[0]) / m))) /
    Math.log(to / from);
  const marks = [
    [1, 2, 5],
    [1, 3],
  ].find((m) => gap(m) >= room) ?? [1];
  const all = Array.from({ length: high - low + 1 }, (_, i) =>
    marks.map((m) => Number(`${m}e${low + i}`)),
  ).flat();
  return all.filter((v) => v >= from * 0.999 && v <= to * 1.001);
};

export const plane = (
  w,
  {
    width = 480,
    height = 280,
    x,
    y,
    xlabel,
    ylabel,
    label,
    xlog = false,
    xformat = String,
    yformat = String,
  },
) => {
  const pad = { left: 46, right: 10, top: 10, bottom: 38 };
  const wide = width - pad.left - pad.right;
  const high = height - pad.top - pad.bottom;
  const along = xlog ? Math.log : (v) => v;
  const back = xlog ? Math.exp : (v) => v;
  const [x0, x1] = x.map(along);
  let [y0, y1] = y;
  const px = (v) => pad.left + ((along(v) - x0) / (x1 - x0)) * wide;
  const py = (v) => pad.top + high - ((v - y0) / (y1 - y0)) * high;
  const unx = (p) => back(x0 + ((p - pad.left) / wide) * (x1 - x0));
  const uny = (p) => y0 + ((pad.top + high - p) / high) * (y1 - y0);
  const axes = svg("g", { class: "aw-axes", "aria-hidden": "true" });
  const clip = freshId();
  const ink = svg("g", { "clip-path": `url(#${clip})` });
  const handles = svg("g");
  const node = svg(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      class: "aw-plane",
      role: "group",
      "aria-label": label,
      "data-export": "",
    },
    svg(
      "clipPath",
      { id: clip },
      svg("rect", { x: pad.left, y: pad.top, width: wide, height: high }),
    ),
    axes,
    ink,
    handles,
  );

  const text = (content, attributes) => {
    const t = svg("text", attributes);
    t.textContent = content;
    return t;
  };
  const xticks = xlog ? logTicksOf(...x, 30 / wide) : ticksOf(...x);
  const drawAxes = () =>
    axes.replaceChildren(
      ...xticks.flatMap((v) => [
        svg("line", { x1: px(v), x2: px(v), y1: pad.top, y2: pad.top + high }),
        text(xformat(v), { x: px(v), y: height - 22, "text-anchor": "middle" }),
      ]),
      ...ticksOf(y0, y1, clamp(Math.round(high / 45), 2, 4)).flatMap((v) => [
        svg("line", { x1: pad.left, x2: pad.left + wide, y1: py(v), y2: py(v) }),
        text(yformat(v), { x: pad.left - 6, y: py(v) + 4, "text-anchor": "end" }),
      ]),
      text(xlabel, {
        x: pad.left + wide / 2,
        y: height - 5,
        "text-anchor": "middle",
        class: "aw-axis-label",
      }),
      text(ylabel, {
        x: 11,
        y: pad.top + high / 2,
        "text-anchor": "middle",
        class: "aw-axis-label",
        transform: `rotate(-90 11 ${pad.top + high / 2})`,
      }),
    );
  drawAxes();

  const plot = {
    node,
    ink,
    handles,
    px,
    py,
    setY(range) {
      if (range[0] === y0 && range[1] === y1) return;
      [y0, y1] = range;
      drawAxes();
    },
    toData(event) {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(
        node.getScreenCTM().inverse(),
      );
      return [unx(point.x), uny(point.y)];
    },
    // "M x,y L …" through the points; a non-finite y lifts the pen.
    path(xs, ys) {
      let d = "";
      let pen = "M";
      for (let i = 0; i < xs.length; i++) {
        if (!Number.isFinite(ys[i])) pen = "M";
        else {
          d += `${pen}${px(xs[i]).toFixed(1)},${py(ys[i]).toFixed(1)}`;
          pen = "L";
        }
      }
      return d;
    },
    line(className) {
      return ink.appendChild(svg("path", { class: `aw-line ${className}` }));
    },
  };
  return plot;
};

// Makes an SVG node something to drag and to move by arrow keys (role slider).
// `move(x, y)` gets data coordinates, `nudge(dx, dy)` counts arrow keys (Shift: ten at once);
// `describe()` says what it is worth now: {name, value, min, max, text}.
export const draggable = (w, plot, node, { move, nudge, describe }) => {
  setAll(node, {
    tabindex: 0,
    role: "slider",
    class: `${node.getAttribute("class") ?? ""} aw-handle`.trim(),
  });
  holdTouch(node);
  let held = null;
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
  node.addEventListener("pointerdown", (event) => {
    held = event.pointerId;
    node.setPointerCapture(held);
    node.focus({ preventScroll: true });
    event.preventDefault();
  });
  node.addEventListener("pointermove", (event) => {
    if (event.pointerId !== held) return;
    move(...plot.toData(event));
    announce();
  });
  const release = (event) => {
    if (event.pointerId !== held) return;
    held = null;
    w.say(describe().text);
    w.commit();
  };
  node.addEventListener("pointerup", release);
  node.addEventListener("pointercancel", release);
  node.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[
      event.key
    ];
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
