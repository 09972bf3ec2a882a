import { floatsOf } from "../widgets/kit/buffers.js";
import { select, toggle } from "../widgets/kit/controls.js";
import { element, fixed, setAll, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { heatmap } from "../widgets/kit/heatmap.js";
import { pythonForCell } from "../widgets/kit/share.js";
import { BOX, compute, SIDE, sceneOf } from "./compute.js";
import { scenePanel } from "./scene.js";

// The spatial mask: a scene to rearrange, the maps behind the gate, the gate, the channels' gates.
const CONTROLS = ["kernel", "channel", "left", "top"];
const BUFFERS = ["_stem", "_gates", "_objects", "_noise"];
const CHANCE = (BOX / SIDE) ** 2; // the box's part of the scene

// The net and the objects, which stay as they are.
const netIn = ({ model }) => ({
  _form: model.get("_form"),
  _hidden: model.get("_hidden"),
  ...Object.fromEntries(BUFFERS.map((name) => [name, floatsOf(model.get(name))])),
});

const refresh = (view) => {
  const controls = view.w.state(CONTROLS);
  view.state = { ...view.net, ...controls };
  view.scene = sceneOf(view.state);
  view.now = compute(view.state);
  view.side = Math.sqrt(view.now.gate.length);
};

const mapPanel = ({ w, side }, label, valuesOf, rangeOf) => {
  const map = heatmap(w, {
    rows: side,
    columns: side,
    width: 150,
    label,
    xlabel: "",
    ylabel: "",
    nameOf: (i, j, value) => `Row ${i + 1}, column ${j + 1}: ${fixed(value)}`,
  });
  return {
    node: map.node,
    draw({ now }) {
      const values = valuesOf(now);
      map.draw(values, rangeOf(values));
    },
  };
};

const channelPanel = () => {
  const bars = svg("svg", { class: "aw-bars", role: "img", "data-export": "" });
  const caption = element("figcaption", { textContent: "Channel gates" });
  return {
    node: element("figure", { className: "aw-channel-panel" }, caption, bars),
    draw({ now: { channel_gate: gates } }) {
      const width = 10 * gates.length;
      const words = Array.from(gates, (gate) => fixed(gate)).join(", ");
      setAll(bars, { viewBox: `0 0 ${width} 52`, "aria-label": `Channel gates: ${words}` });
      const base = (y) => svg("line", { x1: 0, x2: width, y1: y, y2: y, class: "aw-base" });
      const bar = (gate, c) =>
        svg("rect", {
          x: 10 * c + 1.5,
          width: 7,
          y: 51 - 50 * gate,
          height: 50 * gate,
          class: "aw-bar",
        });
      bars.replaceChildren(base(51), base(1), ...Array.from(gates, bar));
    },
  };
};

const buildStage = (view) => {
  const extent = (values) => [Math.min(...values), Math.max(...values)];
  const scene = scenePanel(view);
  const right = [
    mapPanel(view, "Mean map", (now) => now.mean_map, extent),
    mapPanel(view, "Max map", (now) => now.max_map, extent),
    mapPanel(
      view,
      "Gate",
      (now) => now.gate,
      () => [0, 1],
    ),
    channelPanel(),
  ];
  const readout = element("p", { className: "aw-readout" });
  readout.dataset.exportText = "";
  view.w.stage.append(
    element("div", { className: "aw-left" }, scene.node, readout),
    element("div", { className: "aw-right" }, ...right.map(({ node }) => node)),
  );
  let resting;
  return () => {
    for (const panel of [scene, ...right]) panel.draw(view);
    const share = `In the framed object's box: ${fixed(view.now.share[0])} of the gate.`;
    readout.textContent = `${share} By chance: ${fixed(CHANCE)}.`;
    clearTimeout(resting);
    resting = setTimeout(scene.announce, 150); // spoken once things rest
  };
};

const goalsOf = (view, start) => {
  const share = () => view.now.share[0];
  const moved = () =>
    Math.hypot(view.state.left[0] - start.left[0], view.state.top[0] - start.top[0]);
  const shareOfLargeKernel = () => compute({ ...view.state, kernel: "7" }).share[0];
  return [
    {
      text:
        "Move the framed object by 8 pixels or more: the mask follows " +
        "(at least half of it in the box).",
      reached: () => moved() >= 8 && share() >= 0.5,
    },
    {
      text:
        "Lead the mask astray: less than a third of it in the box, " +
        "with the 7 × 7 kernel and channel attention.",
      reached: () => view.state.kernel === "7" && view.state.channel && share() < 1 / 3,
    },
    {
      text:
        "Show that reach matters: with 3 × 3, at most half the share " +
        "that 7 × 7 has in the same scene.",
      reached: () => view.state.kernel === "3" && 2 * share() <= shareOfLargeKernel(),
    },
  ];
};

const render = ({ model, el, signal }) => {
  const w = openWidget({ model, el, signal });
  if (model.get("_own_net")) w.python = pythonForCell("explorer");
  const view = { w, net: netIn(w) };
  refresh(view);
  const start = { left: w.get("left"), top: w.get("top") };
  w.controls.append(select(w, "kernel"), toggle(w, "channel"));
  const paint = buildStage(view);
  w.goals(goalsOf(view, start));
  w.begin(
    () => {
      refresh(view);
      paint();
    },
    () => view.now,
  );
};

export default { render: onceShown(render) };
