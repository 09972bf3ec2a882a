// What random scores do in d dimensions: two histograms, the entropy against d, a dial, a table.
import { field } from "../widgets/kit/controls.js";
import { clamp, element, fixed, freshId, svg } from "../widgets/kit/dom.js";
import { draggable, plane } from "../widgets/kit/plot.js";

const HEIGHT = 176;
const TOP = 3; // of the entropy's axis, in nats
const LOOKS = ["aw-wild", "aw-tamed"]; // without √d, with √d

export const nearestStop = (stops, d) => {
  const distance = stops.map((stop) => Math.abs(Math.log(stop / Math.max(d, 1e-9))));
  return distance.indexOf(Math.min(...distance));
};

const figureOf = (caption, plot) =>
  element("figure", { className: "aw-random-panel" }, caption, plot.node);

// `side` is 0 without √d and 1 with it.
export const histogramPanel = (view, width, side) => {
  const { bins, reach, scaledReach } = view.sizes;
  const most = side ? scaledReach : reach;
  const plot = plane({
    width,
    height: HEIGHT,
    x: [-most, most],
    y: [0, 1],
    xlabel: side ? "q · k / √d" : "q · k",
    ylabel: "count",
    label: side ? "Scores divided by √d" : "Plain dot products",
  });
  const look = side ? "aw-hill aw-tamed" : "aw-hill";
  const shape = plot.ink.appendChild(svg("path", { class: look }));
  const caption = element("figcaption");
  const edge = (i) => plot.px(-most + (2 * most * i) / bins).toFixed(1);
  return {
    node: figureOf(caption, plot),
    draw({ sides }) {
      const { counts, std } = sides[side];
      plot.setY([0, Math.max(...counts) * 1.06]);
      const floor = plot.py(0);
      const steps = [...counts].map((count, i) => `V${plot.py(count).toFixed(1)}H${edge(i + 1)}`);
      shape.setAttribute("d", `M${edge(0)},${floor}${steps.join("")}V${floor}Z`);
      caption.textContent = `${side ? "With" : "Without"} √d: deviation ${fixed(std)}`;
    },
  };
};

// The dotted line at half of the greatest entropy, which a goal asks for.
const drawHalf = (plot, ends, full) => {
  const half = { class: "aw-half", d: plot.path(ends, [full / 2, full / 2]) };
  plot.ink.appendChild(svg("path", half));
  const at = { x: plot.px(ends[1]) - 4, y: plot.py(full / 2) + 13, "text-anchor": "end" };
  return svg("text", { class: "aw-half-text", ...at }, "½ log 16");
};

const dimensionMarker = (view, plot, dots) => {
  const { w, random } = view;
  const { stops } = random;
  const [top, base] = [plot.py(TOP), plot.py(0)];
  const reach = { class: "aw-reach", x: -14, y: top, width: 28, height: base - top };
  const line = svg("line", { y1: top, y2: base });
  const node = svg("g", { class: "aw-dial-mark" }, svg("rect", reach), line, ...dots);
  const { announce } = draggable(w, plot, node, {
    move: (x) => w.set("dimension", stops[nearestStop(stops, x)]),
    nudge: (dx, dy) => {
      const at = nearestStop(stops, w.get("dimension")) + dx + dy;
      w.set("dimension", stops[clamp(at, 0, stops.length - 1)]);
    },
    describe: () => {
      const { dimension, sides } = view.now;
      const [without, scaled] = sides.map(({ entropy }) => fixed(entropy));
      const text = `dimension ${dimension}: entropy ${without} without and ${scaled} with √d`;
      return { name: "dimension", value: dimension, min: stops[0], max: stops.at(-1), text };
    },
  });
  return { node, announce };
};

export const entropyPanel = (view, width) => {
  const { stops, full } = view.random;
  const ends = [stops[0], stops.at(-1)];
  const plot = plane({
    width,
    height: HEIGHT,
    x: ends,
    y: [0, TOP],
    xlog: true,
    xlabel: "dimension d",
    ylabel: "entropy",
    label: "Mean entropy of the weights against the dimension",
  });
  const label = drawHalf(plot, ends, full);
  const lines = LOOKS.map((look) => plot.line(look));
  const dots = LOOKS.map((look) => svg("circle", { class: `aw-dot ${look}`, r: 5 }));
  const marker = dimensionMarker(view, plot, dots);
  plot.handles.append(label, marker.node);
  return {
    node: figureOf(element("figcaption", { textContent: "Mean entropy of the weights" }), plot),
    draw({ dimension, sides, curves }) {
      marker.node.setAttribute("transform", `translate(${plot.px(dimension)} 0)`);
      LOOKS.forEach((_, side) => {
        lines[side].setAttribute("d", plot.path(stops, curves[side]));
        dots[side].setAttribute("cy", plot.py(sides[side].entropy));
      });
    },
    announce: marker.announce,
  };
};

// A slider that goes from stop to stop.
export const dimensionDial = ({ w, random: { stops } }) => {
  const range = { min: 0, max: stops.length - 1, step: 1 };
  const input = element("input", { type: "range", id: freshId(), ...range });
  const output = element("span", { className: "aw-value", ariaHidden: "true" });
  w.show("dimension", (d) => {
    input.value = nearestStop(stops, d);
    output.textContent = String(Math.round(d));
    input.setAttribute("aria-valuetext", output.textContent);
  });
  input.addEventListener("input", () => w.set("dimension", stops[Number(input.value)]));
  input.addEventListener("change", () => w.commit());
  return field(w.spec("dimension").label, input, output);
};

const MEASURES = ["deviation of the scores", "mean entropy, of log 16", "largest slope, median"];
export const numberTable = () => {
  const heads = ["without √d", "with √d"].map((textContent) =>
    element("th", { scope: "col", textContent }),
  );
  const cells = MEASURES.map(() => [0, 1].map(() => element("td")));
  const rows = MEASURES.map((textContent, i) =>
    element("tr", {}, element("th", { scope: "row", textContent }), ...cells[i]),
  );
  const head = element("thead", {}, element("tr", {}, element("td"), ...heads));
  const body = element("tbody", {}, ...rows);
  return {
    node: element("table", { className: "aw-figures" }, head, body),
    draw({ sides }) {
      sides.forEach(({ std, entropy, slope }, side) => {
        const small = slope < 0.001 ? slope.toExponential(1) : fixed(slope, 3);
        [fixed(std), fixed(entropy), small].forEach((text, i) => {
          cells[i][side].textContent = text;
        });
      });
    },
  };
};
