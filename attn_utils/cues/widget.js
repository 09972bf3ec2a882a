import { field, select, slider } from "../widgets/kit/controls.js";
import { clamp, element, fixed, freshId, holdTouch, setAll, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { softmaxInto } from "../widgets/kit/math.js";

// A softmax over twelve things, shown as one fixed amount of light on a desk.
const LIGHT = 65000; // area of all discs together: attention is scarce, it can only be moved
const DIAL = 4; // gain at the ends of the dial

// Each thing is drawn around (0, 0) from simple shapes; the numbers are its look and nothing else.
const drawings = {
  newspaper: (p) => [
    svg("rect", { x: -48, y: -62, width: 96, height: 124, fill: p.white, stroke: "#999" }),
    svg("rect", { x: -40, y: -54, width: 80, height: 14, fill: "#444" }),
    svg("rect", { x: -40, y: -34, width: 38, height: 34, fill: "#b9b9b9" }),
    ...lines(4, -32, 36, 7, 6), ...lines(-40, 8, 36, 7, 7), ...lines(4, 8, 36, 7, 7),
  ],
  "research paper": (p) => [
    svg("rect", { x: -38, y: -50, width: 76, height: 100, fill: p.white, stroke: "#999", transform: "rotate(6)" }),
    svg("g", { transform: "rotate(6)" }, svg("rect", { x: -22, y: -42, width: 44, height: 6, fill: "#333" }),
      ...lines(-30, -28, 27, 6, 11), ...lines(3, -28, 27, 6, 11)),
  ],
  "coffee cup": (p) => [
    svg("ellipse", { cx: 4, cy: 6, rx: 50, ry: 48, fill: "#000", "fill-opacity": 0.18 }),
    svg("circle", { r: 46, fill: "#f0eeea", stroke: "#bbb" }),
    svg("rect", { x: 24, y: -8, width: 34, height: 16, rx: 8, fill: p.red, transform: "rotate(-35)" }),
    svg("circle", { r: 31, fill: p.red }), svg("circle", { r: 25, fill: "#3b2114" }),
    svg("ellipse", { cx: -7, cy: -8, rx: 9, ry: 5, fill: "#8a5a3b", transform: "rotate(-30)" }),
  ],
  notebook: (p) => [
    svg("rect", { x: -46, y: -58, width: 92, height: 116, rx: 4, fill: p.white, stroke: "#888" }),
    ...Array.from({ length: 10 }, (_, i) => svg("line", { x1: -34, x2: 38, y1: -44 + i * 10, y2: -44 + i * 10, stroke: "#aab" })),
    ...Array.from({ length: 9 }, (_, i) => svg("circle", { cx: -42, cy: -48 + i * 12, r: 3, fill: "#666" })),
  ],
  book: (p) => [
    svg("rect", { x: -42, y: -56, width: 90, height: 118, fill: "#000", "fill-opacity": 0.2 }),
    svg("rect", { x: -46, y: -60, width: 90, height: 118, rx: 3, fill: p.black }),
    svg("rect", { x: -46, y: -60, width: 12, height: 118, fill: "#111" }),
    svg("rect", { x: -20, y: -38, width: 50, height: 8, fill: "#d9d4c6" }),
    svg("rect", { x: -12, y: -24, width: 34, height: 5, fill: "#a9a494" }),
  ],
  pen: (p) => [
    svg("g", { transform: "rotate(35)" }, svg("rect", { x: -4, y: -44, width: 8, height: 80, rx: 3, fill: p.black }),
      svg("path", { d: "M-4,36 L4,36 L0,50 Z", fill: "#888" }), svg("rect", { x: 3, y: -40, width: 3, height: 26, fill: "#aaa" })),
  ],
  pencil: (p) => [
    svg("g", { transform: "rotate(-28)" }, svg("rect", { x: -5, y: -44, width: 10, height: 76, fill: p.yellow }),
      svg("rect", { x: -5, y: -52, width: 10, height: 9, fill: "#d58a8a" }), svg("path", { d: "M-5,32 L5,32 L0,48 Z", fill: "#eed9b6" }),
      svg("path", { d: "M-1.6,43 L1.6,43 L0,48 Z", fill: "#333" })),
  ],
  apple: (p) => [
    svg("circle", { r: 30, fill: p.green }), svg("ellipse", { cx: -9, cy: -10, rx: 8, ry: 5, fill: "#a9d27f", transform: "rotate(-35)" }),
    svg("path", { d: "M0,-2 q4,-10 10,-14", stroke: "#5b3d1e", "stroke-width": 4, fill: "none" }),
  ],
  banana: (p) => [
    svg("path", { d: "M-46,-14 Q0,34 46,-18 L50,-10 Q2,56 -50,-4 Z", fill: p.yellow, stroke: "#b98d1e" }),
    svg("path", { d: "M46,-18 L52,-24 L54,-14 L50,-10 Z", fill: "#5b4320" }),
  ],
  "glass of water": (p) => [
    svg("circle", { r: 30, fill: p.blue, "fill-opacity": 0.55, stroke: "#e9f4ff", "stroke-width": 4 }),
    svg("path", { d: "M-18,-8 a20,20 0 0 1 18,-12", stroke: "#fff", "stroke-width": 3, fill: "none" }),
  ],
  phone: (p) => [
    svg("rect", { x: -26, y: -50, width: 52, height: 100, rx: 8, fill: p.black }),
    svg("rect", { x: -21, y: -42, width: 42, height: 82, rx: 2, fill: "#4c5563" }), svg("circle", { cy: 45, r: 2.5, fill: "#777" }),
  ],
  biscuit: (p) => [
    svg("circle", { r: 25, fill: p.yellow, stroke: "#b58b3c", "stroke-width": 3, "stroke-dasharray": "4 3" }),
    ...[[-8, -6], [6, -9], [9, 6], [-4, 9], [0, -1]].map(([cx, cy]) => svg("circle", { cx, cy, r: 2.2, fill: "#8a6a2c" })),
  ],
};
const lines = (x, y, width, gap, count) =>
  Array.from({ length: count }, (_, i) => svg("line", { x1: x, x2: x + width, y1: y + i * gap, y2: y + i * gap, stroke: "#8a8a8a" }));

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const palette = Object.fromEntries(model.get("_palette"));
  const things = model.get("_things").map(([name, use, colour, shape, , x, y]) => ({ name, key: [use, colour, shape], colour, x, y }));
  const count = things.length;
  const [scores, weights] = [new Float64Array(count), new Float64Array(count)];
  const reads = Object.keys(palette).length && things.map((t) => [1, 3, 5].map((at) => parseInt(palette[t.colour].slice(at, at + 2), 16)));

  // ---- controls: the query, the two gains, and one dial that moves both
  const dial = element("input", { type: "range", id: freshId(), min: 0, max: 2, step: 0.05 });
  const dialOutput = element("span", { className: "aw-value aw-dial-output", ariaHidden: "true" });
  dial.addEventListener("input", () => {
    const at = Number(dial.value);
    w.set("salience_gain", Number((DIAL * (at <= 1 ? at : 2 - at)).toFixed(2)));
    w.set("query_gain", Number((DIAL * Math.max(0, at - 1)).toFixed(2)));
  });
  dial.addEventListener("change", () => w.commit());
  const showDial = () => {
    const [s, q] = [w.get("salience_gain") / DIAL, w.get("query_gain") / DIAL];
    const at = q > 0 ? 1 + q : s;
    const onPath = q > 0 ? Math.abs(s + q - 1) < 0.02 : s <= 1;
    dial.value = at;
    const words = !onPath ? "your own mix" : at === 0 ? "average pooling" : at === 1 ? "salience only" : at === 2 ? "query only" : at < 1 ? "towards salience" : "from salience to query";
    dialOutput.textContent = words;
    dial.setAttribute("aria-valuetext", words);
  };
  const brush = element("select", { id: freshId() }, ...["brighter", "dimmer"].map((o) => element("option", { value: o, textContent: o })));
  const group = (legend, ...fields) =>
    element("fieldset", { className: "aw-group" }, element("legend", { textContent: legend }), ...fields);
  w.controls.append(
    group("Query: I want …", select(w, "use"), select(w, "colour"), select(w, "shape")),
    group("Gains", slider(w, "salience_gain"), slider(w, "query_gain"), field("one dial for both", dial, dialOutput)),
    field("painting makes things", brush),
  );

  // ---- the desk: things in the dark, discs of light over them
  const mask = freshId();
  const glow = freshId();
  const discs = things.map((t) => svg("circle", { cx: t.x, cy: t.y, fill: `url(#${glow})` }));
  const glows = things.map((t) => svg("circle", { cx: t.x, cy: t.y, fill: "#ffe7a3", "fill-opacity": 0.5 }));
  const eye = svg("g", { class: "aw-eye" }, svg("circle", { r: 9 }), svg("path", { d: "M-15,0 H15 M0,-15 V15" }));
  const nodes = things.map((t) => svg("g", { class: "aw-thing", transform: `translate(${t.x} ${t.y})`, role: "slider", tabindex: -1, "aria-valuemin": 0, "aria-valuemax": 1 },
    ...drawings[t.name](palette), svg("circle", { class: "aw-ring", r: 60 })));
  nodes[2].setAttribute("tabindex", 0);
  const scene = svg("svg", { viewBox: "0 0 640 400", class: "aw-desk", role: "group", "data-export": "",
    "aria-label": "Desk with twelve things. Left and right choose a thing, up and down change its salience." },
    svg("defs", {},
      svg("radialGradient", { id: glow }, svg("stop", { offset: 0, "stop-color": "#000" }), svg("stop", { offset: 0.82, "stop-color": "#000" }), svg("stop", { offset: 1, "stop-color": "#000", "stop-opacity": 0 })),
      svg("mask", { id: mask, maskUnits: "userSpaceOnUse", x: 0, y: 0, width: 640, height: 400 }, svg("rect", { width: 640, height: 400, fill: "#fff" }), ...discs)),
    svg("rect", { width: 640, height: 400, fill: "#9a9ea6" }),
    ...glows, ...nodes, svg("rect", { width: 640, height: 400, fill: "#10131c", "fill-opacity": 0.66, mask: `url(#${mask})`, "pointer-events": "none" }), eye);

  // ---- the numbers beside it
  const rows = things.map((t) => {
    const bar = element("span", { className: "aw-bar" });
    const number = element("span", { className: "aw-number" });
    return { bar, number, node: element("li", {}, element("span", { textContent: t.name }), element("span", { className: "aw-track" }, bar), number) };
  });
  const swatch = element("span", { className: "aw-swatch" });
  const blend = element("span");
  w.stage.append(
    element("div", { className: "aw-scene" }, scene,
      element("p", { className: "aw-hint", textContent: "Paint over a thing to change its salience, or use the arrow keys. The cross is where the eye goes: the weighted mean of the places." })),
    element("div", { className: "aw-side" },
      element("ol", { className: "aw-weights", ariaLabel: "weights" }, ...rows.map((r) => r.node)),
      element("p", { className: "aw-blend" }, swatch, blend)));

  // ---- computing and drawing
  const asked = () => [w.get("use"), w.get("colour"), w.get("shape")];
  const compute = () => {
    const [gs, gq, s, q] = [w.get("salience_gain"), w.get("query_gain"), w.get("salience"), asked()];
    things.forEach((t, i) => (scores[i] = gs * s[i] + gq * t.key.filter((k, n) => k === q[n]).length));
    softmaxInto(scores, weights);
  };
  const mean = (value) => weights.reduce((sum, a, i) => sum + a * value(i), 0);
  const draw = () => {
    compute();
    const s = w.get("salience");
    const top = Math.max(...weights);
    things.forEach((t, i) => {
      for (const disc of [discs[i], glows[i]]) disc.setAttribute("r", Math.sqrt((LIGHT * weights[i]) / Math.PI));
      rows[i].bar.style.width = `${100 * weights[i]}%`;
      rows[i].number.textContent = fixed(weights[i], 3);
      rows[i].node.classList.toggle("aw-top", weights[i] === top);
      setAll(nodes[i], { "aria-label": t.name, "aria-valuenow": fixed(s[i]), "aria-valuetext": `salience ${fixed(s[i])}, weight ${fixed(weights[i], 3)}` });
    });
    eye.setAttribute("transform", `translate(${mean((i) => things[i].x).toFixed(1)} ${mean((i) => things[i].y).toFixed(1)})`);
    const rgb = [0, 1, 2].map((c) => Math.round(mean((i) => reads[i][c])));
    swatch.style.background = `rgb(${rgb})`;
    blend.textContent = `blended colour value: ${rgb.map((v) => fixed(v / 255)).join(", ")}`;
    showDial();
  };

  // ---- painting and keys
  const paint = (i, by) => {
    const s = [...w.get("salience")];
    s[i] = Number(clamp(s[i] + by, 0, 1).toFixed(3));
    w.set("salience", s);
  };
  let current = 2;
  const choose = (i) => {
    nodes[current].setAttribute("tabindex", -1);
    current = (i + count) % count;
    nodes[current].setAttribute("tabindex", 0);
    nodes[current].focus({ preventScroll: true });
  };
  const tell = (i) => w.say(`${things[i].name} (${things[i].key.join(", ")}): salience ${fixed(w.get("salience")[i])}, weight ${fixed(weights[i], 3)}`);
  let painting = false;
  nodes.forEach((node, i) => {
    const stroke = () => {
      paint(i, brush.value === "brighter" ? 0.05 : -0.05);
      requestAnimationFrame(() => tell(i));
    };
    holdTouch(node);
    node.addEventListener("pointerdown", (event) => {
      painting = true;
      node.releasePointerCapture?.(event.pointerId); // a finger may go on to the next thing
      event.preventDefault();
      choose(i);
      stroke();
    });
    node.addEventListener("pointermove", () => (painting ? stroke() : tell(i)));
    node.addEventListener("keydown", (event) => {
      const [step, by] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05] }[event.key] ?? [];
      if (step === undefined) return;
      event.preventDefault();
      if (step) choose(i + step);
      else paint(i, by);
      requestAnimationFrame(() => tell(current));
      w.commitSoon();
    });
  });
  const stop = () => {
    if (painting) w.commit();
    painting = false;
  };
  addEventListener("pointerup", stop, { signal });
  addEventListener("pointercancel", stop, { signal });

  const of = (name) => things.findIndex((t) => t.name === name);
  const untouched = JSON.stringify(w.get("salience"));
  const aheadOfCup = () => weights.filter((a) => a > weights[of("coffee cup")] + 1e-9).length;
  w.goals([
    { text: "Share the light equally: average pooling.", reached: () => Math.max(...weights) - Math.min(...weights) < 0.001 },
    { text: "Give the book at least 0.8 while the salience gain stays at 2 or more.", reached: () => weights[of("book")] >= 0.8 && w.get("salience_gain") >= 2 },
    { text: "Put seven things ahead of the red cup without painting.", reached: () => aheadOfCup() >= 7 && JSON.stringify(w.get("salience")) === untouched },
  ]);
  w.begin(draw, () => ({ weights }));
}
export default { render: onceShown(render) };
