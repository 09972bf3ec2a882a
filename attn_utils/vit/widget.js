import { floatsOf } from "../widgets/kit/buffers.js";
import { select, slider } from "../widgets/kit/controls.js";
import { element, fixed } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { pythonForCell } from "../widgets/kit/share.js";
import { colourRamp, onThemeChange } from "../widgets/kit/theme.js";
import { attentionOf, pixelsOf, readingOf, tokenOf } from "./compute.js";
import { factsPanel } from "./facts.js";
import { goalsOf } from "./goals.js";
import { gridPanel } from "./grid.js";
import { colourScale, paintCells, paintPatches } from "./painting.js";

// The patch explorer: an image cut into patches, of which one asks, and a grid of the same shape
// that shows whom it looks at.
const CONTROLS = [
  ...["picture", "patch", "down", "across", "asking"],
  ...["layer", "head", "view", "sharpness"],
];

// Images and weights, which stay as they are.
const dataIn = ({ model }) => {
  const bytes = model.get("_pixels");
  const fixedTraits = ["_shape", "_model", "_heads", "_layers"];
  return {
    ...Object.fromEntries(fixedTraits.map((name) => [name, model.get(name)])),
    _pixels: new Uint8Array(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, bytes.byteLength),
    _weights: floatsOf(model.get("_weights")),
  };
};

const openView = (w) => {
  const data = dataIn(w);
  const view = { w, data, names: w.model.get("_names"), isTrained: data._model.length > 0 };
  refresh(view);
  return view;
};

// The attention is kept until another one is asked for: set by hand, it takes some milliseconds.
const refresh = (view) => {
  const { w, data, isTrained } = view;
  const controls = w.state(CONTROLS);
  const state = { ...data, ...controls };
  const key = (isTrained ? [state.picture] : [state.picture, state.patch, state.sharpness]).join();
  if (key !== view.key) Object.assign(view, { key, attention: attentionOf(state) });
  view.state = state;
  view.token = tokenOf(state, view.attention);
  view.now = readingOf(state, view.attention);
};

// ---- words

const nameOfToken = ({ attention: { P, columns } }, t) => {
  if (t < P) return ["class token", "distillation token"][t];
  const [row, column] = [Math.floor((t - P) / columns) + 1, ((t - P) % columns) + 1];
  return `patch ${t - P + 1} (row ${row}, column ${column})`;
};

const nameOfHead = ({ isTrained, data }, head) =>
  isTrained ? `head ${head}` : data._heads[head - 1];

const nameOfMap = (view) => {
  const { view: what, layer, head } = view.state;
  if (what === "rollout")
    return `rollout through ${layer === 1 ? "layer 1" : `layers 1 to ${layer}`}`;
  return `layer ${layer}, ${what === "one head" ? nameOfHead(view, head) : what}`;
};

// ---- controls and panels

const buildControls = ({ w, data, names, isTrained }) => {
  const [L, H] = [data._layers, data._heads.length];
  const head = slider(w, "head", {
    format: (v) => (isTrained ? `${v} of ${H}` : `${v}: ${data._heads[v - 1]}`),
  });
  if (!isTrained) head.classList.add("aw-head-field"); // long names
  w.controls.append(
    ...(names.length > 1 ? [slider(w, "picture", { format: (v) => names[v] })] : []),
    select(w, isTrained ? "asking" : "patch"),
    select(w, "view"),
    slider(w, "layer", { format: (v) => `${v} of ${L}` }),
    head,
    ...(isTrained ? [] : [slider(w, "sharpness")]),
  );
  w.show("view", (what) => {
    head.querySelector("input").disabled = what !== "one head";
  });
};

// The largest weight on another token: what a patch gives to itself may be beyond the scale.
const largestOther = ({ attention: { P, T }, token }, values, from = 0) => {
  let top = 0;
  for (let t = P; t < T; t++) if (t !== token) top = Math.max(top, values[from + t]);
  return top || 1;
};

const paintWeights = (canvas, view, values, from, top) => {
  const { rows, columns, P } = view.attention;
  paintCells(canvas, { rows, columns, ramp: view.ramp }, values, from + P, top);
};

// The image and the map, side by side: a patch that is pressed asks, one that is heard is read.
const gridPanels = (view) => {
  const { w } = view;
  const hear = (i, j) => {
    const t = view.attention.P + i * view.attention.columns + j;
    for (const panel of [picture, map]) panel.at(i, j);
    const name = nameOfToken(view, t);
    const gets = `${name[0].toUpperCase()}${name.slice(1)} gets ${fixed(view.now.row[t], 3)}`;
    w.say(`${gets} of the attention of ${nameOfToken(view, view.token)}.`);
  };
  const press = (i, j) => {
    w.set("down", Number(((i + 0.5) / view.attention.rows).toFixed(3)));
    w.set("across", Number(((j + 0.5) / view.attention.columns).toFixed(3)));
    if (view.isTrained) w.set("asking", "patch");
    refresh(view); // what is said belongs to the new patch
    hear(i, j);
  };
  const picture = gridPanel(w, { hear, press, drags: true });
  const map = gridPanel(w, { hear, press, drags: false });
  const scale = colourScale();
  map.node.append(scale.node);
  const drawn = { sheet: "", token: "" };
  return {
    nodes: [picture.node, map.node],
    draw: () => drawGrids(view, { picture, map, scale, drawn }),
    recolour() {
      drawn.sheet = ""; // the gaps between the patches have another colour, too
      scale.paint(view.ramp);
    },
  };
};

const drawGrids = (view, { picture, map, scale, drawn }) => {
  const { state, attention, token } = view;
  const { P, rows, columns } = attention;
  const [height, width] = state._shape.slice(1);
  const sheet = [state.picture, rows, columns].join();
  if (sheet !== drawn.sheet) {
    for (const panel of [picture, map]) panel.resize(rows, columns, width / height);
    paintPatches(picture.canvas, pixelsOf(state), [height, width], attention);
    drawn.sheet = sheet;
  }
  const top = largestOther(view, view.now.row);
  paintWeights(map.canvas, view, view.now.row, 0, top);
  scale.label("0", fixed(top, 3));
  picture.title.textContent = `${view.names[state.picture]}: ${rows} × ${columns} patches`;
  map.title.textContent = nameOfMap(view);
  const place = token < P ? null : [Math.floor((token - P) / columns), (token - P) % columns];
  for (const panel of [picture, map]) {
    panel.ask(place);
    // the reading cursor stays where it is until another patch asks
    if (place && drawn.token !== `${sheet} ${token}`) panel.at(...place);
  }
  drawn.token = `${sheet} ${token}`;
  const asks = `${nameOfToken(view, token)} asks`;
  const label = (panel, text) => panel.canvas.setAttribute("aria-label", text);
  label(
    picture,
    `Image in ${rows} by ${columns} patches; ${asks}. Arrow keys choose another patch.`,
  );
  label(
    map,
    `Attention, ${nameOfMap(view)}; ${asks}. Arrow keys read patch by patch, Enter lets one ask.`,
  );
};

// A small map for each layer and head, to be chosen by a press.
const thumbsPanel = (view) => {
  const { w, data, isTrained } = view;
  const [L, heads] = [data._layers, data._heads];
  const thumbOf = (l, h) => {
    const canvas = element("canvas", { ariaHidden: "true" });
    const ariaLabel = `layer ${l + 1}, head ${h + 1}${isTrained ? "" : `: ${heads[h]}`}`;
    const form = { type: "button", className: "aw-thumb", title: heads[h], ariaLabel };
    const node = element("button", form, canvas);
    node.addEventListener("click", () => {
      w.set("layer", l + 1);
      w.set("head", h + 1);
      w.set("view", "one head");
      w.commit();
    });
    return { node, canvas, l, h };
  };
  const lines = Array.from({ length: L }, (_, l) => heads.map((_, h) => thumbOf(l, h)));
  const textContent = "All layers and heads for this query, all maps on one scale.";
  const lineNodes = lines.map((line, l) => {
    const name = element("span", { textContent: `layer ${l + 1}` });
    return element("div", { className: "aw-thumb-line" }, name, ...line.map(({ node }) => node));
  });
  const hint = element("p", { className: "aw-hint", textContent });
  return {
    node: element("div", { className: "aw-thumbs" }, hint, ...lineNodes),
    draw() {
      const { state, attention, now } = view;
      const top = Math.max(
        ...lines.flat().map((_, k) => largestOther(view, now.small, k * attention.T)),
      );
      for (const [k, { node, canvas, l, h }] of lines.flat().entries()) {
        paintWeights(canvas, view, now.small, k * attention.T, top);
        const isShown = state.view === "one head" && state.layer === l + 1 && state.head === h + 1;
        node.setAttribute("aria-pressed", isShown);
      }
    },
  };
};

const render = ({ model, el, signal }) => {
  const w = openWidget({ model, el, signal });
  const view = openView(w);
  if (model.get("_own_data")) {
    const hidden = view.isTrained ? ["patch", "sharpness"] : ["asking"];
    w.python = pythonForCell("explorer", hidden);
  }
  buildControls(view);
  const grids = gridPanels(view);
  const others = [thumbsPanel(view), factsPanel(view)];
  w.stage.append(...grids.nodes, ...others.map(({ node }) => node));
  const recolour = () => {
    view.ramp = colourRamp(w.box);
    grids.recolour();
  };
  const draw = () => {
    refresh(view);
    for (const panel of [grids, ...others]) panel.draw();
  };
  recolour();
  onThemeChange(() => {
    recolour();
    draw();
  }, signal);
  w.goals(goalsOf(view));
  w.begin(draw, () => view.now);
};

export default { render: onceShown(render) };
