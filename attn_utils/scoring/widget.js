// The score lab: a score as a field over the plane, and what softmax makes of scores in d
// dimensions.
import { select, slider } from "../widgets/kit/controls.js";
import { element } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { pythonFor } from "../widgets/kit/share.js";
import { argmax, fieldOf, resultsOf, weighKeys } from "./compute.js";
import { entropyCurves, openRandom, sidesIn } from "./random.js";
import { planePanel } from "./view_plane.js";
import { dimensionDial, entropyPanel, histogramPanel, numberTable } from "./view_random.js";
import { weightPanel } from "./view_weights.js";

const STATE = ["rule", "temperature", "query", "key_points", "dimension", "_additive"];

// What the panels show. The field depends on rule and query only, the random part on temperature
// and dimension: each is computed anew only then.
const refresh = (view) => {
  const { w, sizes, random, atOne, now: last } = view;
  const state = w.state(STATE);
  const same = (...names) => last && names.every((name) => state[name] === last[name]);
  const curvesNow = () =>
    state.temperature === 1 ? atOne : entropyCurves(random, state.temperature);
  const now = { ...state, sizes, weighed: weighKeys(state) };
  now.field = same("rule", "query", "_additive") ? last.field : fieldOf(state, sizes);
  now.most = now.field.reduce((most, score) => Math.max(most, Math.abs(score)), 0);
  now.dimension = Math.round(state.dimension);
  now.at = random.stops.indexOf(now.dimension); // -1 between the stops of the dial
  now.curves = same("temperature") ? last.curves : curvesNow();
  now.sides = same("temperature", "dimension")
    ? last.sides
    : sidesIn(random, now.dimension, state.temperature);
  view.now = now;
};

// ---- the panels

const below = (view, half) => {
  const { queries, keys } = view.sizes;
  const table = numberTable();
  const plots = [0, 1].map((side) => histogramPanel(view, half, side));
  const panels = [...plots, entropyPanel(view, half), table];
  for (const { node } of panels) node.style.width = `${half}px`;
  const textContent =
    `${queries} random queries, ${keys} random keys, components of variance 1. This d has ` +
    "nothing to do with the plane, where d = 2; the temperature divides the scores of both.";
  const head = element(
    "div",
    { className: "aw-random-head" },
    element("strong", { textContent: "In d dimensions" }),
    view.dial,
    element("span", { className: "aw-hint", textContent }),
  );
  const nodes = panels.map((panel) => panel.node);
  const row = element("div", { className: "aw-random-panels" }, ...nodes);
  return { node: element("div", { className: "aw-random" }, head, row), panels };
};

const build = (view) => {
  const room = view.w.stage.clientWidth || 770;
  const isWide = room >= 600; // else the panels stand below each other
  const main = Math.min(isWide ? Math.round(room * 0.56) : room, 440);
  const half = room >= 480 ? Math.floor((room - 14) / 2) : room;
  const [map, list] = [planePanel(view, main), weightPanel(view)];
  map.node.style.width = `${main}px`;
  const random = below(view, half);
  view.panels = [map, list, ...random.panels];
  view.w.stage.replaceChildren(map.node, list.node, random.node);
};

const draw = (view) => {
  refresh(view);
  const count = view.now.weighed.keys.length;
  if (view.built !== count) build(view); // from Python, the number of keys may change
  view.built = count;
  for (const panel of view.panels) panel.draw(view.now);
  clearTimeout(view.resting);
  view.resting = setTimeout(() => {
    for (const panel of view.panels) panel.announce?.();
  }, 150);
};

// ---- goals

const lowest = (values) => argmax(values.map((value) => -value));
// At the first stop at which the entropy without √d has fallen below half of the greatest.
const atFirstFall = ({ temperature, at, curves: [wild] }, half) =>
  temperature === 1 && at > 0 && wild[at] < half && wild[at - 1] >= half;
const isUndone = ({ at, dimension, sides: [wild] }, [, tamed]) =>
  at >= 0 && dimension >= 256 && Math.abs(wild.entropy / tamed[at] - 1) < 0.02;

const goalsOf = (view) => [
  {
    text: "Make dot product and cosine disagree about the winner.",
    reached: () => view.now.weighed.winners[0] !== view.now.weighed.winners[2],
  },
  {
    text: "Let the additive rule choose the key that the dot product ranks last.",
    reached: () => view.now.weighed.winners[3] === lowest(view.now.weighed.all[0]),
  },
  {
    text:
      "At temperature 1, saturate the softmax over the keys of the plane: largest slope below " +
      "0.01.",
    reached: () => view.now.temperature === 1 && view.now.weighed.slope < 0.01,
  },
  {
    text:
      "At temperature 1, turn the dial to the first stop at which the entropy without √d falls " +
      "below half of log 16.",
    reached: () => atFirstFall(view.now, view.random.full / 2),
  },
  {
    text:
      "At d ≥ 256, undo the damage without √d, by temperature alone: the entropy that √d " +
      "gives at temperature 1, within 2 %.",
    reached: () => isUndone(view.now, view.atOne),
  },
];

const pythonWith = (w) => (className, changed) => {
  const own = w.get("_own_additive") ? { additive: w.get("_additive") } : {};
  return pythonFor(className, { ...changed, ...own });
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  w.python = pythonWith(w);
  const sizes = Object.fromEntries(w.get("_sizes"));
  const random = openRandom(sizes, w.get("_dial"));
  const atOne = entropyCurves(random, 1);
  const view = { w, sizes, random, atOne, now: null, panels: [], built: 0, resting: undefined };
  refresh(view);
  const threeDigits = (t) => String(Number(t.toPrecision(3)));
  w.controls.append(
    select(w, "rule"),
    slider(w, "temperature", { format: threeDigits, log: true }),
  );
  view.dial = dimensionDial(view);
  w.goals(goalsOf(view));
  w.begin(
    () => draw(view),
    () => resultsOf(view.now),
  );
}
export default { render: onceShown(render) };
