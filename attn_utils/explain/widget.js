import { halvesOf } from "../widgets/kit/buffers.js";
import { button, toggle } from "../widgets/kit/controls.js";
import { clamp, element, fixed } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { heatmap } from "../widgets/kit/heatmap.js";
import { softmaxInto } from "../widgets/kit/math.js";
import { pythonLiteral } from "../widgets/kit/share.js";
import { colourRamp, cssColour, onThemeChange } from "../widgets/kit/theme.js";
import { openVisionTransformer, rolloutOf } from "./model.js";
import {
  DOTS,
  SIDE,
  SIZE,
  countsOf,
  fitted,
  isDrawing,
  isEmpty,
  pack,
  paper,
  shade,
  unpack,
} from "./paper.js";

// What the model sees of the paper (explain_paper.js), what it answers (explain_model.js computes it),
// and where each of its heads looks.

// The patch of a pixel; `grid` is rows and columns of patches.
const patchOf = ([rows, columns], pixel) => Math.floor((Math.floor(pixel / SIZE) * rows) / SIZE) * columns + Math.floor(((pixel % SIZE) * columns) / SIZE);
const paintMap = (canvas, grid, values, seen, look, top) => {
  const image = new ImageData(SIZE, SIZE);
  const words = new Uint32Array(image.data.buffer);
  for (let k = 0; k < words.length; k++) {
    const word = look.ramp[clamp((255 * values[patchOf(grid, k)]) / top, 0, 255) | 0];
    words[k] = shade(word, look.ink, (0.62 * seen[k]) / DOTS ** 2);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
};
const tiny = (properties) => element("canvas", { width: SIZE, height: SIZE, className: "aw-tiny", ...properties });

// A bar for each class.
const answers = (count) => {
  const rows = Array.from({ length: count }, (_, c) => {
    const [bar, number] = [element("span", { className: "aw-bar" }), element("span", { className: "aw-value" })];
    return { bar, number, node: element("li", {}, element("b", { textContent: c }), element("span", { className: "aw-track" }, bar), number) };
  });
  return {
    node: element("ol", { className: "aw-answers", ariaLabel: "probabilities" }, ...rows.map((row) => row.node)),
    draw(chances) {
      const best = chances.indexOf(Math.max(...chances));
      rows.forEach(({ bar, number, node }, c) => {
        bar.style.width = `${100 * chances[c]}%`;
        number.textContent = fixed(chances[c]);
        node.classList.toggle("aw-best", c === best);
      });
    },
  };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const [rows, columns, heads] = model.get("_sizes");
  const grid = [rows, columns];
  const vit = openVisionTransformer(halvesOf(model.get("_floats")), model.get("_shapes"), heads);
  const { layers, tokens } = vit;
  const examples = model.get("_examples");
  const empty = pack(new Uint8Array(SIDE * SIDE));
  if (model.get("_own_model")) w.python = (_, state) => ["# reader is the DigitReader of this cell", ...Object.entries(state).map(([name, value]) => `reader.${name} = ${pythonLiteral(value)}`)].join("\n");

  // ---- computing: everything is a function of the drawing and of `fit`
  let now = {};
  const compute = () => {
    const [drawing, fit] = [w.get("drawing"), w.get("fit")];
    if (drawing === now.drawing && fit === now.fit) return;
    const bits = unpack(drawing);
    const seen = countsOf(fit ? fitted(bits) : bits);
    const { logits, weights } = vit.run(seen.map((v) => v / DOTS ** 2), SIZE);
    const chances = softmaxInto(logits, new Float64Array(logits.length));
    now = { drawing, fit, seen, logits, weights, chances, best: chances.indexOf(Math.max(...chances)), rollout: rolloutOf(weights, vit), blank: isEmpty(bits) };
  };
  // The row of the asking token in one head, in the mean over the heads (head 0) or in the rollout (layer 0).
  const mapOf = (layer, head, query = w.get("query")) => {
    if (!layer) return now.rollout.subarray(query * tokens, (query + 1) * tokens);
    const row = (h) => now.weights.subarray((((layer - 1) * heads + h) * tokens + query) * tokens).subarray(0, tokens);
    if (head) return row(head - 1);
    return row(0).map((_, j) => Array.from({ length: heads }, (_, h) => row(h)[j] / heads).reduce((a, b) => a + b));
  };
  const nameOf = (layer, head) => (layer ? `layer ${layer}, ${head ? `head ${head}` : "mean of heads"}` : "rollout");
  const patch = (k) => `row ${Math.floor(k / columns) + 1}, column ${(k % columns) + 1}`;
  const asker = () => (w.get("query") ? `the patch in ${patch(w.get("query") - 1)}` : "the class token");

  // ---- drawing, with a way back
  const past = [];
  // The drawing that began on empty paper, and the last stroke: what it led to, the readings around it.
  const done = { own: null, stroke: {} };
  const isOwn = () => done.own === w.get("drawing");
  const remember = () => past.push([w.get("drawing"), w.get("fit"), isOwn()]);
  const tell = () => {
    const order = [...now.chances.keys()].sort((a, b) => now.chances[b] - now.chances[a]);
    w.say(now.blank ? "The paper is empty." : `Reads ${order.slice(0, 2).map((c) => `${c} (${fixed(now.chances[c])})`).join(", then ")}.`);
  };
  const finish = () => {
    draw();
    tell();
    w.commit();
  };
  const replace = (drawing, fit, own) => {
    w.set("drawing", drawing);
    w.set("fit", fit);
    done.own = own ? drawing : null;
    finish();
  };
  const sheet = paper(w, {
    began() {
      remember();
      compute();
      done.stroke = { from: now.blank ? -1 : now.best, own: now.blank || isOwn() };
    },
    changed(bits) {
      w.set("drawing", pack(bits));
      if (done.stroke.own) done.own = w.get("drawing");
    },
    ended() {
      compute();
      Object.assign(done.stroke, { to: now.best, drawing: now.drawing });
      finish();
    },
  });
  const tool = (label, rubs) => button(label, () => choose(rubs), { ariaPressed: String(!rubs) });
  const tools = [tool("Pen", false), tool("Eraser", true)];
  const choose = (rubs) => {
    sheet.rub(rubs);
    tools.forEach((node, k) => (node.ariaPressed = String(rubs === Boolean(k))));
  };
  const undo = button("Undo", () => past.length && replace(...past.pop()));
  const clear = button("Clear", () => {
    remember();
    replace(empty, true, false);
  });
  const thumbs = examples.map(([drawing, label], k) => {
    const picture = tiny({});
    const node = button("", () => {
      remember();
      replace(drawing, false, false); // it fits already
    }, { className: "aw-example", ariaLabel: `example ${k + 1}, a ${label}` });
    node.append(picture, String(label));
    return { node, picture, seen: countsOf(unpack(drawing)) };
  });

  // ---- where it looks: one map large, all of them small
  const pick = (layer, head) => {
    w.set("layer", layer);
    w.set("head", head);
    w.commit();
  };
  const big = heatmap(w, {
    rows, columns, width: 184, label: "Attention", xlabel: "", ylabel: "",
    nameOf: (i, j, value) => `From ${asker()} to ${patch(i * columns + j)}, ${nameOf(w.get("layer"), w.get("head"))}: ${fixed(value, 3)}`,
    onPress(i, j) {
      const token = i * columns + j + 1;
      w.set("query", w.get("query") === token ? 0 : token);
      w.say(`Now ${asker()} asks.`);
      w.commit();
    },
  });
  const inkLayer = tiny({ className: "aw-ink-layer" });
  inkLayer.dataset.export = "";
  const mark = element("span", { className: "aw-asker" });
  const frame = big.node.querySelector(".aw-heatmap-frame");
  frame.querySelector("canvas").after(inkLayer, mark);
  const [caption, itself] = [big.node.querySelector("figcaption"), element("p", { className: "aw-hint" })];
  const back = button("Let the class token ask", () => {
    w.set("query", 0);
    w.commit();
  });
  const small = [];
  const smallMap = (layer, head, text) => {
    const picture = tiny({});
    const node = button("", () => pick(layer, head), { className: "aw-map" });
    node.append(picture, element("span", { textContent: text }));
    small.push({ layer, head, picture, node });
    return node;
  };
  const maps = element("div", { className: "aw-maps", role: "group", ariaLabel: "maps, one for each head" });
  maps.style.setProperty("--aw-columns", heads + 1);
  for (let l = 1; l <= layers; l++) {
    maps.append(element("span", { className: "aw-layer-name", textContent: `Layer ${l}` }));
    for (let h = 1; h <= heads; h++) maps.append(smallMap(l, h, `head ${h}`));
    maps.append(smallMap(l, 0, "mean"));
  }
  const legend = element("p", { className: "aw-hint" });
  const side = element("div", { className: "aw-maps-side" }, smallMap(0, 0, "rollout"), legend);
  const bars = answers(now.chances?.length ?? model.get("_shapes").find(([name]) => name === "head.bias")[1]);

  w.controls.append(element("div", { className: "aw-examples", role: "group", ariaLabel: "examples" }, ...thumbs.map((t) => t.node)));
  w.stage.append(
    element("div", { className: "aw-desk" }, sheet.node,
      element("div", { className: "aw-buttons" }, ...tools, undo, clear), toggle(w, "fit")),
    element("div", { className: "aw-view" }, big.node, itself, back),
    bars.node,
    element("div", { className: "aw-all-maps" }, maps, side));

  let look;
  const readColours = () => {
    const sheetColour = cssColour(w.box, "--aw-sheet");
    look = { ramp: colourRamp(w.box), ink: cssColour(w.box, "--aw-pen"), sheet: (sheetColour[2] << 16) | (sheetColour[1] << 8) | sheetColour[0] };
  };
  const draw = () => {
    compute();
    const [layer, head, query] = ["layer", "head", "query"].map(w.get);
    const shown = mapOf(layer, head);
    const all = small.map((s) => mapOf(s.layer, s.head));
    const highest = Math.max(...all.map((map) => Math.max(...map.subarray(1))));
    const scaleFor = (most) => [0.1, 0.2, 0.3, 0.5].find((t) => t >= most) ?? 1;
    const top = scaleFor(highest); // one scale for all small maps
    sheet.draw(now.drawing, look);
    big.draw(shown.slice(1), [0, scaleFor(Math.max(...shown.subarray(1)))]);
    legend.textContent = `One colour scale for all these maps, from 0 to ${top}. Choose one to see it large; in the large map, choose a patch to let it ask.`;
    caption.textContent = `What it sees: ${nameOf(layer, head)}`;
    itself.textContent = `${query ? "From" : "The class token gives itself"} ${query ? `${asker()}; to the class token ${fixed(shown[0])}` : fixed(shown[0])}.`;
    const [clear0, inkOf] = [new ImageData(SIZE, SIZE), look.ink];
    now.seen.forEach((v, k) => clear0.data.set([...inkOf, (255 * 0.8 * v) / DOTS ** 2], 4 * k));
    inkLayer.getContext("2d").putImageData(clear0, 0, 0);
    mark.hidden = back.disabled = !query;
    if (query) Object.assign(mark.style, { left: `${(100 * ((query - 1) % columns)) / columns}%`, top: `${(100 * Math.floor((query - 1) / columns)) / rows}%`, width: `${100 / columns}%`, height: `${100 / rows}%` });
    small.forEach((s, k) => {
      paintMap(s.picture, grid, all[k].subarray(1), now.seen, look, top);
      const place = all[k].subarray(1);
      const most = Math.max(...place);
      s.node.ariaPressed = String(s.layer === layer && (s.head === head || !layer));
      s.node.ariaLabel = `${nameOf(s.layer, s.head)}, most on ${patch(place.indexOf(most))}: ${fixed(most)}`;
    });
    for (const t of thumbs) paintMap(t.picture, grid, new Float64Array(rows * columns), t.seen, look, 1);
    bars.draw(now.chances);
    undo.disabled = !past.length;
  };
  readColours();
  onThemeChange(() => {
    readColours();
    draw();
  }, signal);

  // The largest weight that the class token gives, in the head shown large, to a patch with hardly any ink.
  const onPaper = () => {
    if (!w.get("layer") || !w.get("head") || now.blank) return 0;
    const ink = new Float64Array(rows * columns);
    now.seen.forEach((v, k) => (ink[patchOf(grid, k)] += (v * ink.length) / (16 * SIZE ** 2)));
    return Math.max(0, ...mapOf(w.get("layer"), w.get("head"), 0).subarray(1).filter((_, k) => ink[k] <= 0.05));
  };
  w.goals([
    { text: "Clear the paper and draw a 7 of which the model is sure (at least 0.90).", reached: () => isOwn() && now.best === 7 && now.chances[7] >= 0.9 },
    { text: "Turn a 3 into a 9 or an 8 by one stroke of the pen.", reached: () => done.stroke.drawing === now.drawing && done.stroke.from === 3 && [8, 9].includes(done.stroke.to) },
    { text: "Find a head whose class token gives at least 0.60 to a patch with hardly any ink, and show it large. What can emptiness tell it?", reached: () => onPaper() >= 0.6 },
    { text: "Draw something about which the model cannot decide: no digit gets more than 0.40.", reached: () => isOwn() && done.stroke.drawing === now.drawing && !now.blank && now.chances[now.best] <= 0.4 },
  ]);
  w.begin(draw, () => ({ seen: now.seen, logits: now.logits, probabilities: now.chances, weights: now.weights, rollout: now.rollout }));
  if (!isDrawing(w.get("drawing"))) w.set("drawing", empty);
}
export default { render: onceShown(render) };
