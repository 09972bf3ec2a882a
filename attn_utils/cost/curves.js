import { clamp, element, svg } from "../widgets/kit/dom.js";
import { draggable, plane } from "../widgets/kit/plot.js";
import { GIB } from "./compute.js";
import { BYTE_UNITS, grouped, inBytes, inFlop, inTokens, powerOfTen } from "./words.js";

// Curves against the number of tokens on logarithmic axes, with n to drag.
const HEIGHT = 250;
const [TOP, BOTTOM] = [10, HEIGHT - 38]; // of the plane's axes
const POINTS = 81;

// What the two panels show: `values` of the costs, one for each name, drawn by their logarithm.
const OPERATIONS = {
  caption: "Operations against the number of tokens",
  label: "tokens, on the curves of operations",
  ylabel: "FLOP",
  names: ["projections", "pairs", "MLP"],
  colours: [0, 1, 2],
  values: ({ flops: f }) => [f[0] + f[4], f[1] + f[2] + f[3], f[5]],
  log: Math.log10,
  yformat: powerOfTen,
  inWords: inFlop,
};
const MEMORY = {
  caption: "Memory of the attention",
  label: "tokens, on the curves of memory",
  ylabel: "",
  names: ["explicit", "fused"],
  colours: [1, 0],
  values: ({ peak }) => peak,
  log: Math.log2,
  yformat: (v) => `${2 ** (v % 10)} ${BYTE_UNITS[Math.floor(v / 10)] ?? ""}`,
  inWords: inBytes,
  hasDevice: true,
};

const planeFor = (w, { ylabel, label, yformat }) => {
  const { min, max } = w.spec("n");
  const size = { width: 400, height: HEIGHT };
  const axes = { x: [min, max], y: [0, 1], xlog: true, xlabel: "tokens n", ylabel };
  return plane({ ...size, ...axes, label, xformat: inTokens, yformat });
};

// The dashed line at n, with a dot on each curve; wide enough to be grasped.
const markerOn = (view, plot, dots, { label, names, values, inWords }) => {
  const { w } = view;
  const { min, max } = w.spec("n");
  const reach = { x: -14, y: TOP, width: 28, height: BOTTOM - TOP };
  const marker = svg(
    "g",
    { class: "aw-n-mark" },
    svg("rect", { class: "aw-reach", ...reach }),
    svg("line", { y1: TOP, y2: BOTTOM }),
    ...dots,
  );
  plot.handles.append(marker);
  const put = (n) => w.set("n", clamp(Math.round(n), min, max));
  const spoken = () => {
    const costs = values(view.now).map((value, i) => `${names[i]} ${inWords(value)}`);
    return `${grouped(w.get("n"))} tokens: ${costs.join(", ")}`;
  };
  const { announce } = draggable(w, plot, marker, {
    move: (x) => put(Number(x.toPrecision(3))),
    nudge: (dx, dy) => {
      const [n, steps] = [w.get("n"), dx + dy]; // each a hundredth, but at least one token
      const there = n * 1.01 ** steps;
      put(steps > 0 ? Math.max(n + 1, there) : Math.min(n - 1, there));
    },
    describe: () => ({ name: label, value: w.get("n"), min, max, text: spoken() }),
  });
  return { marker, announce };
};

const keyList = ({ names, colours, hasDevice }) => {
  const entry = (key, textContent) => element("span", { className: `aw-key-${key}`, textContent });
  const entries = names.map((name, i) => entry(colours[i], name));
  if (hasDevice) entries.push(entry("device", "device"));
  return element("div", { className: "aw-key-list", ariaHidden: "true" }, ...entries);
};

const curvePanel = (view, panel) => {
  const { caption, colours, values, log, hasDevice } = panel;
  const plot = planeFor(view.w, panel);
  const { min, max } = view.w.spec("n");
  const ns = Array.from({ length: POINTS }, (_, i) => min * (max / min) ** (i / (POINTS - 1)));
  const limit = svg("path", { class: "aw-device" });
  if (hasDevice) plot.ink.append(limit);
  const lines = colours.map((colour) => plot.line(`aw-curve-${colour}`));
  const dots = colours.map(() => svg("circle", { class: "aw-dot", r: 4 }));
  const { marker, announce } = markerOn(view, plot, dots, panel);
  const title = element("figcaption", { textContent: caption });
  return {
    node: element("figure", { className: "aw-cost-figure" }, title, keyList(panel), plot.node),
    announce,
    draw({ now, state }) {
      const columns = ns.map((n) => values(now.at(n)).map(log));
      const device = hasDevice ? [log(state.memory * GIB)] : [];
      const all = [...columns[0], ...columns.at(-1), ...device];
      plot.setY([Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))]);
      for (const [i, line] of lines.entries()) {
        const heights = columns.map((column) => column[i]);
        line.setAttribute("d", plot.path(ns, heights));
      }
      for (const level of device) limit.setAttribute("d", plot.path([min, max], [level, level]));
      marker.setAttribute("transform", `translate(${plot.px(state.n).toFixed(1)} 0)`);
      for (const [i, value] of values(now).entries())
        dots[i].setAttribute("cy", plot.py(log(value)).toFixed(1));
    },
  };
};

export const operationCurves = (view) => curvePanel(view, OPERATIONS);
export const memoryCurves = (view) => curvePanel(view, MEMORY);
