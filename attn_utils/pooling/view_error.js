// The leave-one-out error against the bandwidth, and the step down it by the gradient.
import { button, slider } from "../widgets/kit/controls.js";
import { clamp, element, freshId, svg } from "../widgets/kit/dom.js";
import { draggable, plane } from "../widgets/kit/plot.js";
import { gradientStep } from "./regression.js";
import { short } from "./words.js";

const KEY_FACTOR = 1.03; // what an arrow key makes of the bandwidth

const bandwidthMarker = (view, plot) => {
  const { w } = view;
  const spec = w.spec("bandwidth");
  const [top, base] = [plot.py(1), plot.py(0)];
  const dot = svg("circle", { class: "aw-dot", r: 7 });
  const node = svg(
    "g",
    { class: "aw-marker" },
    svg("rect", { class: "aw-reach", x: -14, y: top, width: 28, height: base - top }),
    svg("line", { y1: top, y2: base }),
    dot,
  );
  const turn = (h) => w.set("bandwidth", clamp(Number(h.toPrecision(3)), spec.min, spec.max));
  plot.handles.append(node);
  const { announce } = draggable(w, plot, node, {
    move: turn,
    nudge: (dx, dy) => turn(w.get("bandwidth") * KEY_FACTOR ** (dx + dy)),
    describe: () => {
      const { h, loo } = view.now;
      const text = `bandwidth ${short(h)}, leave-one-out error ${short(loo)}`;
      return { name: "bandwidth", value: h, min: spec.min, max: spec.max, text };
    },
  });
  return { node, dot, announce };
};

export const errorPanel = (view, width) => {
  const { min, max } = view.w.spec("bandwidth");
  const plot = plane({
    width,
    height: 178,
    x: [min, max],
    y: [0, 1],
    xlog: true,
    xlabel: "bandwidth",
    ylabel: "error",
    label: "Leave-one-out error against bandwidth",
  });
  const curve = plot.line("aw-curve");
  const least = plot.ink.appendChild(svg("path", { class: "aw-least" }));
  const marker = bandwidthMarker(view, plot);
  const caption = element("figcaption", { textContent: "Leave-one-out error" });
  return {
    node: element("figure", { className: "aw-error-panel" }, caption, plot.node),
    draw({ looCurve, loo, bandwidths, best, h }) {
      plot.setY([0, Math.max(...looCurve, loo) * 1.08 || 1]);
      curve.setAttribute("d", plot.path(bandwidths, looCurve));
      const [x, y] = [plot.px(bandwidths[best]), plot.py(0)];
      least.setAttribute("d", `M${x},${y - 9}L${x - 6},${y}H${x + 6}Z`);
      marker.node.setAttribute("transform", `translate(${plot.px(h)} 0)`);
      marker.dot.setAttribute("cy", plot.py(loo));
    },
    announce: marker.announce,
  };
};

// ---- the step

const stepInWords = (h, { next, losses, passed, isAtEnd }) => {
  const [before, after] = losses;
  const loss = `loss ${short(before)} → ${short(after)}.`;
  const change = `w ${short(1 / h)} → ${short(1 / next)}, ${loss}`;
  const overshot = passed ? " Overshot: it passed a minimum." : "";
  const grown = after > before ? " Overshot: the loss grew." : overshot;
  return `${change}${grown}${isAtEnd ? " The range ends here." : ""}`;
};

const takeStep = (view, report) => {
  const { w } = view;
  const { x, y, h } = view.now;
  const { min, max } = w.spec("bandwidth");
  const rate = w.get("learning_rate");
  const taken = gradientStep({ x, y, bandwidth: h, rate, min, max });
  view.step = { to: taken.next, passed: taken.passed, words: stepInWords(h, taken) };
  w.set("bandwidth", taken.next);
  report();
  w.commit();
};
// The last step, as long as nothing else has changed the bandwidth.
export const lastStep = ({ w, step }) => (step?.to === w.get("bandwidth") ? step : null);

const GAUSSIAN_ONLY = "Gaussian only: w is learned through softmax(−((x − xᵢ) w)²/2).";
export const learningRow = (view) => {
  const { w } = view;
  const said = element("span", { className: "aw-report", id: freshId(), role: "status" });
  const report = () => {
    said.textContent = press.disabled ? GAUSSIAN_ONLY : (lastStep(view)?.words ?? "");
  };
  const press = button("One gradient step on w", () => takeStep(view, report));
  press.setAttribute("aria-describedby", said.id);
  w.show("kernel", (kernel) => {
    press.disabled = kernel !== "gaussian";
    report();
  });
  w.show("bandwidth", report);
  const rate = slider(w, "learning_rate", { format: short, log: true });
  return element("div", { className: "aw-learning" }, press, rate, said);
};
