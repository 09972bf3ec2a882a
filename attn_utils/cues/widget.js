// A softmax over twelve things, shown as one fixed amount of light on a desk.
import { field, select, slider } from "../widgets/kit/controls.js";
import { clamp, element, fixed, freshId, holdTouch, setAll, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { compute, meanUnder, scoresOf } from "./compute.js";
import { drawings } from "./drawings.js";

const LIGHT = 65000; // area of all discs together: attention is scarce, it can only be moved
const DIAL = 4; // gain at the ends of the dial
const STROKE = 0.05; // how much saliency one stroke or one key adds
const TAP = 0.2; // and the first touch, so that a few taps are enough
const STATE = ["use", "colour", "shape", "salience_gain", "query_gain", "salience", "_things"];

// ---- controls: the query, the two gains, and one dial that moves both

const dialWords = (salience, query) => {
  const onPath = query > 0 ? Math.abs(salience + query - 1) < 0.02 : salience <= 1;
  if (!onPath) return "your own mix";
  if (query > 0) return query === 1 ? "query only" : "from saliency to query";
  if (salience === 0) return "average pooling";
  return salience === 1 ? "saliency only" : "towards saliency";
};

const gainDial = (w) => {
  const input = element("input", { type: "range", id: freshId(), min: 0, max: 2, step: 0.05 });
  const output = element("span", { className: "aw-value aw-dial-output", ariaHidden: "true" });
  input.addEventListener("input", () => {
    const at = Number(input.value);
    w.set("salience_gain", Number((DIAL * (at <= 1 ? at : 2 - at)).toFixed(2)));
    w.set("query_gain", Number((DIAL * Math.max(0, at - 1)).toFixed(2)));
  });
  input.addEventListener("change", () => w.commit());
  return {
    node: field("one dial for both", input, output),
    draw() {
      const [salience, query] = ["salience_gain", "query_gain"].map((name) => w.get(name) / DIAL);
      input.value = query > 0 ? 1 + query : salience;
      output.textContent = dialWords(salience, query);
      input.setAttribute("aria-valuetext", output.textContent);
    },
  };
};

const group = (legend, ...fields) =>
  element(
    "fieldset",
    { className: "aw-group" },
    element("legend", { textContent: legend }),
    ...fields,
  );

// ---- the desk: things in the dark, discs of light over them

const thingNode = (thing, palette) => {
  const ring = svg("circle", { class: "aw-ring", r: 60 });
  const attributes = {
    class: "aw-thing",
    transform: `translate(${thing.x} ${thing.y})`,
    role: "slider",
    tabindex: -1,
    "aria-valuemin": 0,
    "aria-valuemax": 1,
  };
  return svg("g", attributes, ...drawings[thing.name](palette), ring);
};

const HINT =
  "Tap a thing or paint over it to change its saliency; the number shows what you have painted. " +
  "With the keyboard, left and right choose a thing, up and down paint it. The cross is where " +
  "the eye goes: the weighted mean of the positions.";

const deskOf = (things, palette) => {
  const [mask, glow] = [freshId(), freshId()];
  const whole = { width: 640, height: 400 };
  const discsOf = (look) => things.map(({ x, y }) => svg("circle", { cx: x, cy: y, ...look }));
  const discs = discsOf({ fill: `url(#${glow})` });
  const glows = discsOf({ fill: "#ffe7a3", "fill-opacity": 0.5 });
  const eye = svg(
    "g",
    { class: "aw-eye" },
    svg("circle", { r: 9 }),
    svg("path", { d: "M-15,0 H15 M0,-15 V15" }),
  );
  const nodes = things.map((thing) => thingNode(thing, palette));
  const tags = things.map(({ x, y }) => svg("text", { class: "aw-tag", x, y: y + 5 }));
  const stop = (offset, look = {}) => svg("stop", { offset, "stop-color": "#000", ...look });
  const light = svg("rect", { ...whole, fill: "#fff" });
  const dark = { fill: "#10131c", "fill-opacity": 0.66, mask: `url(#${mask})` };
  const scene = svg(
    "svg",
    { viewBox: "0 0 640 400", class: "aw-desk", role: "group", "data-export": "" },
    svg(
      "defs",
      {},
      svg("radialGradient", { id: glow }, stop(0), stop(0.82), stop(1, { "stop-opacity": 0 })),
      svg("mask", { id: mask, maskUnits: "userSpaceOnUse", x: 0, y: 0, ...whole }, light, ...discs),
    ),
    svg("rect", { ...whole, fill: "#9a9ea6" }),
    ...glows,
    ...nodes,
    svg("rect", { ...whole, ...dark, "pointer-events": "none" }),
    ...tags,
    eye,
  );
  scene.setAttribute(
    "aria-label",
    "Desk with twelve things. Left and right choose a thing, up and down change its saliency.",
  );
  const hint = element("p", { className: "aw-hint", textContent: HINT });
  const node = element("div", { className: "aw-scene" }, scene, hint);
  return { node, discs, glows, nodes, tags, eye };
};

// ---- the numbers beside it

const weightList = (things) => {
  const rows = things.map(({ name }) => {
    const bar = element("span", { className: "aw-bar" });
    const [score, number] = [0, 1].map(() => element("span", { className: "aw-number" }));
    const track = element("span", { className: "aw-track" }, bar);
    const label = element("span", { textContent: name });
    return { bar, score, number, node: element("li", {}, label, score, track, number) };
  });
  const heads = ["", "score", "", "weight"].map((textContent) => element("span", { textContent }));
  const head = element("li", { className: "aw-head" }, ...heads);
  const swatch = element("span", { className: "aw-swatch" });
  const blend = element("span");
  const why = element("p", { className: "aw-why" });
  const list = { className: "aw-weights", ariaLabel: "weights" };
  const node = element(
    "div",
    { className: "aw-side" },
    element("ol", list, head, ...rows.map((row) => row.node)),
    why,
    element("p", { className: "aw-blend" }, swatch, blend),
  );
  return { node, rows, why, swatch, blend };
};

// ---- drawing

const valuesOf = ({ w, weights }, i) =>
  `saliency ${fixed(w.get("salience")[i])}, weight ${fixed(weights[i], 3)}`;

// Where the chosen thing's score comes from.
const drawWhy = ({ w, list, things, matches, scores, current: i }) => {
  const [salience, query] = ["salience_gain", "query_gain"].map((name) => fixed(w.get(name), 1));
  const cues = `${salience} · ${fixed(w.get("salience")[i])} + ${query} · ${matches[i]}`;
  list.why.textContent =
    "Score = saliency gain · saliency + query gain · match. " +
    `${things[i].name}: ${cues} = ${fixed(scores[i])}.`;
};

const drawThings = (view) => {
  const { w, desk, list, things, weights, scores, unpainted } = view;
  const top = Math.max(...weights);
  const salience = w.get("salience");
  things.forEach((thing, i) => {
    const radius = Math.sqrt((LIGHT * weights[i]) / Math.PI);
    for (const disc of [desk.discs[i], desk.glows[i]]) disc.setAttribute("r", radius);
    list.rows[i].bar.style.width = `${100 * weights[i]}%`;
    list.rows[i].score.textContent = fixed(scores[i]);
    list.rows[i].number.textContent = fixed(weights[i], 3);
    desk.tags[i].textContent = salience[i] === unpainted[i] ? "" : fixed(salience[i]);
    list.rows[i].node.classList.toggle("aw-top", weights[i] === top);
    setAll(desk.nodes[i], {
      "aria-label": thing.name,
      "aria-valuenow": fixed(salience[i]),
      "aria-valuetext": valuesOf(view, i),
    });
  });
};

// Where the eye goes, and the colour that it sees: means under the weights.
const drawMeans = ({ desk, list, things, weights }) => {
  const mean = (numberOf) => meanUnder(weights, things.map(numberOf));
  const [x, y] = [mean((thing) => thing.x), mean((thing) => thing.y)];
  desk.eye.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
  const rgb = [0, 1, 2].map((channel) => Math.round(mean((thing) => thing.rgb[channel])));
  list.swatch.style.background = `rgb(${rgb})`;
  const shares = rgb.map((v) => fixed(v / 255)).join(", ");
  list.blend.textContent = `weighted mean of the colours (red, green, blue): ${shares}`;
};

const weigh = (view) => {
  const state = view.w.state(STATE);
  Object.assign(view, compute(state), scoresOf(state));
};
const draw = (view) => {
  weigh(view);
  drawThings(view);
  drawMeans(view);
  drawWhy(view);
  view.dial.draw();
};

// ---- painting and keys

const paint = ({ w }, i, by) => {
  const salience = [...w.get("salience")];
  salience[i] = Number(clamp(salience[i] + by, 0, 1).toFixed(3));
  w.set("salience", salience);
};
const choose = (view, i) => {
  const { nodes } = view.desk;
  nodes[view.current].setAttribute("tabindex", -1);
  view.current = (i + nodes.length) % nodes.length;
  nodes[view.current].setAttribute("tabindex", 0);
  nodes[view.current].focus({ preventScroll: true });
  drawWhy(view);
};
const tell = (view, i) => {
  const { name, key } = view.things[i];
  view.w.say(`${name} (${key.join(", ")}): ${valuesOf(view, i)}`);
};
const stroke = (view, i, size = STROKE) => {
  paint(view, i, view.w.get("painting") === "brighter" ? size : -size);
  requestAnimationFrame(() => tell(view, i));
};

const hearPointer = (view, node, i) => {
  holdTouch(node);
  node.addEventListener("pointerdown", (event) => {
    view.painting = true;
    node.releasePointerCapture?.(event.pointerId); // a finger may go on to the next thing
    event.preventDefault();
    choose(view, i);
    stroke(view, i, TAP);
  });
  node.addEventListener("pointermove", () => (view.painting ? stroke(view, i) : tell(view, i)));
};
const hearRelease = (view, signal) => {
  const stop = () => {
    if (view.painting) view.w.commit();
    view.painting = false;
  };
  addEventListener("pointerup", stop, { signal });
  addEventListener("pointercancel", stop, { signal });
};

const KEYS = {
  ArrowRight: { step: 1 },
  ArrowLeft: { step: -1 },
  ArrowUp: { by: STROKE },
  ArrowDown: { by: -STROKE },
};
const hearKeys = (view, node, i) => {
  node.addEventListener("keydown", (event) => {
    const key = KEYS[event.key];
    if (!key) return;
    event.preventDefault();
    if (key.step) choose(view, i + key.step);
    else paint(view, i, key.by);
    requestAnimationFrame(() => tell(view, view.current));
    view.w.commitSoon();
  });
};

const goalsOf = (view) => {
  const { w } = view;
  const weightOf = (name) => view.weights[view.things.findIndex((thing) => thing.name === name)];
  const aheadOfCup = () =>
    view.weights.filter((weight) => weight > weightOf("coffee cup") + 1e-9).length;
  return [
    {
      text: "Share the light equally: average pooling.",
      reached: () => Math.max(...view.weights) - Math.min(...view.weights) < 0.001,
    },
    {
      text: "Give the book at least 0.8 while the saliency gain stays at 2 or more.",
      reached: () => weightOf("book") >= 0.8 && w.get("salience_gain") >= 2,
    },
    {
      text: "Put seven things ahead of the red cup without painting.",
      reached: () =>
        aheadOfCup() >= 7 && w.get("salience").every((s, i) => s === view.unpainted[i]),
    },
  ];
};

// A thing as the drawing needs it: its key, its colour as three numbers and where it lies.
const thingOf = ([name, use, colour, shape, , x, y], palette) => {
  const rgb = [1, 3, 5].map((at) => parseInt(palette[colour].slice(at, at + 2), 16));
  return { name, key: [use, colour, shape], rgb, x, y };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const palette = Object.fromEntries(w.get("_palette"));
  const things = w.get("_things").map((thing) => thingOf(thing, palette));
  const unpainted = w.get("_things").map(([, , , , salience]) => salience);
  const [desk, list] = [deskOf(things, palette), weightList(things)];
  const view = { w, things, unpainted, dial: gainDial(w), desk, list, current: 2, painting: false };
  w.controls.append(
    group("Query: I want …", select(w, "use"), select(w, "colour"), select(w, "shape")),
    group("Gains", slider(w, "salience_gain"), slider(w, "query_gain"), view.dial.node),
    select(w, "painting"),
  );
  w.stage.append(desk.node, list.node);
  desk.nodes[view.current].setAttribute("tabindex", 0);
  desk.nodes.forEach((node, i) => {
    hearPointer(view, node, i);
    hearKeys(view, node, i);
  });
  hearRelease(view, signal);
  w.goals(goalsOf(view));
  w.begin(
    () => draw(view),
    () => ({ weights: view.weights }),
  );
}
export default { render: onceShown(render) };
