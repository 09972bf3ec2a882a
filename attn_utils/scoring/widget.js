import { field, select, slider } from "../widgets/kit/controls.js";
import { clamp, element, fixed, freshId, setAll, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { softmaxInto } from "../widgets/kit/math.js";
import { draggable, plane } from "../widgets/kit/plot.js";
import { cssColour, onThemeChange } from "../widgets/kit/theme.js";

// The score lab: a score as a field over the plane, and what softmax makes of scores in d dimensions.
const RULES = ["dot", "scaled dot", "cosine", "additive"];

// ---- the arithmetic, in double precision (ScoringExplorer.reference computes the same in torch)

// The score of the query (a, b) with a key (x, y), as a function of x and y.
const scorer = (rule, [a, b], [wq, wk, bias, wv]) => {
  if (rule === "dot") return (x, y) => a * x + b * y;
  if (rule === "scaled dot") return (x, y) => (a * x + b * y) / Math.SQRT2;
  if (rule === "cosine") {
    const own = Math.sqrt(a * a + b * b);
    return (x, y) => {
      const length = own * Math.sqrt(x * x + y * y);
      return length > 1e-12 ? (a * x + b * y) / length : 0; // no direction, no preference
    };
  }
  const offset = bias.map((c, j) => c + wq[j][0] * a + wq[j][1] * b); // the query's part is the same everywhere
  const [wx, wy] = [wk.map((row) => row[0]), wk.map((row) => row[1])];
  return (x, y) => {
    let sum = 0;
    for (let j = 0; j < wv.length; j++) sum += wv[j] * Math.tanh(wx[j] * x + wy[j] * y + offset[j]);
    return sum;
  };
};
const argmax = (values) => values.reduce((best, v, i) => (v > values[best] ? i : best), 0);
const entropyOf = (weights) => weights.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0);
// The largest entry of the Jacobian diag(α) − ααᵀ stands on its diagonal.
const steepest = (weights) => weights.reduce((top, p) => Math.max(top, p * (1 - p)), 0);
const softened = (scores, divisor) => {
  const logits = Float64Array.from(scores, (s) => s / divisor);
  return softmaxInto(logits, logits);
};
const medianOf = (values) => {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length / 2;
  return sorted.length % 2 ? sorted[half - 0.5] : (sorted[half - 1] + sorted[half]) / 2;
};

// Standard normal numbers from a hash of their place, so that Python can make the same ones.
const randomComponents = (count, seed) => {
  const uniform = (i) => {
    let h = (Math.imul(i, 0x9e3779b1) + Math.imul(seed, 0x85ebca77)) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
    h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
    return (((h ^ (h >>> 16)) >>> 0) + 0.5) / 4294967296;
  };
  return Float64Array.from({ length: count }, (_, i) => Math.sqrt(-2 * Math.log(uniform(2 * i))) * Math.cos(2 * Math.PI * uniform(2 * i + 1)));
};

// Random queries and keys: their dot products at any dimension, and at all stops of the dial.
const randomLab = (w) => {
  const [queries, keys, largest, seed, , , bins, ...reach] = w.model.get("_sizes");
  const stops = w.model.get("_dial");
  const numbers = randomComponents((queries + keys) * largest, seed);
  const scoresAt = (d) => {
    const scores = new Float64Array(queries * keys);
    for (let t = 0; t < queries; t++)
      for (let s = 0; s < keys; s++) {
        let [sum, q, k] = [0, t * largest, (queries + s) * largest];
        for (let c = 0; c < d; c++) sum += numbers[q + c] * numbers[k + c];
        scores[t * keys + s] = sum;
      }
    return scores;
  };
  const table = stops.map(scoresAt); // 18 tables of 64 × 16: the dial only looks them up
  const row = new Float64Array(keys);
  const eachRow = (scores, divisor, visit) => {
    for (let t = 0; t < queries; t++) {
      for (let s = 0; s < keys; s++) row[s] = scores[t * keys + s] / divisor;
      visit(softmaxInto(row, row));
    }
  };
  const meanEntropy = (scores, divisor) => {
    let sum = 0;
    eachRow(scores, divisor, (weights) => (sum += entropyOf(weights)));
    return sum / queries;
  };
  const curve = (temperature, scaled) => stops.map((d, i) => meanEntropy(table[i], temperature * (scaled ? Math.sqrt(d) : 1)));
  const full = Math.log(keys);
  const atOne = [curve(1, false), curve(1, true)];
  let last = {};
  return (dimension, temperature) => {
    if (last.dimension === dimension && last.temperature === temperature) return last;
    const d = Math.round(dimension);
    const at = stops.indexOf(d);
    const scores = at >= 0 ? table[at] : scoresAt(d);
    const sides = [1, Math.sqrt(d)].map((factor, side) => {
      let [sum, square, entropy] = [0, 0, 0];
      const slopes = [];
      const counts = new Float64Array(bins);
      for (const raw of scores) {
        const s = raw / factor;
        sum += s;
        square += s * s;
        counts[clamp(Math.floor(((s + reach[side]) / (2 * reach[side])) * bins), 0, bins - 1)]++;
      }
      eachRow(scores, factor * temperature, (weights) => {
        entropy += entropyOf(weights);
        slopes.push(steepest(weights));
      });
      const mean = sum / scores.length;
      return { counts, std: Math.sqrt(Math.max(0, square / scores.length - mean * mean)), entropy: entropy / queries, slope: medianOf(slopes) };
    });
    const curves = temperature === last.temperature ? last.curves : temperature === 1 ? atOne : [curve(temperature, false), curve(temperature, true)];
    last = { dimension, temperature, d, at, sides, curves, stops, full, atOne, reach, bins, queries, keys };
    return last;
  };
};

// Everything the panels show. The field depends on rule and query only, the random part on d and temperature.
const scoreLab = (w) => {
  const [, , , , grid, stride] = w.model.get("_sizes");
  const bound = w.spec("query").max;
  const centre = Float64Array.from({ length: grid }, (_, i) => (((i + 0.5) * 2) / grid - 1) * bound);
  const random = randomLab(w);
  const field = new Float64Array(grid * grid);
  let last = {};
  return () => {
    const [rule, temperature, query, flat, dimension, additive] = ["rule", "temperature", "query", "key_points", "dimension", "_additive"].map(w.get);
    const keys = Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
    const fresh = rule === last.rule && query === last.query && additive === last.additive;
    let top = last.top;
    if (!fresh) {
      const score = scorer(rule, query, additive);
      top = 0;
      for (let i = 0; i < grid; i++)
        for (let j = 0; j < grid; j++) {
          const s = (field[i * grid + j] = score(centre[j], -centre[i])); // the first row is the top one
          if (Math.abs(s) > top) top = Math.abs(s);
        }
    }
    const all = RULES.map((r) => keys.map(([x, y]) => scorer(r, query, additive)(x, y)));
    const scores = all[RULES.indexOf(rule)];
    const weights = softened(scores, temperature);
    last = { rule, temperature, query, keys, additive, fresh, field, top, grid, stride, bound, scores, weights, all,
      winners: all.map(argmax), entropy: entropyOf(weights), slope: steepest(weights), random: random(dimension, temperature) };
    return last;
  };
};

// ---- small helpers for the drawing

const signed = (v) => (v < 0 ? `−${fixed(-v)}` : fixed(v));
const written = (content, attributes) => Object.assign(svg("text", attributes), { textContent: content });
// From one colour over a neutral middle to another: for signed quantities.
const divergingRamp = (node) => {
  const stops = [0, 1, 2, 3, 4].map((i) => cssColour(node, `--aw-signed-${i}`));
  return Uint32Array.from({ length: 256 }, (_, i) => {
    const at = i / 63.75;
    const k = Math.min(3, Math.floor(at));
    const [r, g, b] = [0, 1, 2].map((c) => Math.round(stops[k][c] + (at - k) * (stops[k + 1][c] - stops[k][c])));
    return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });
};
// Lines of equal value through a grid of numbers, as an SVG path: in each cell between four
// neighbours a straight piece joins the two places where the level is crossed.
const contours = (values, grid, levels, toX, toY) => {
  let d = "";
  for (let i = 0; i + 1 < grid; i++)
    for (let j = 0; j + 1 < grid; j++) {
      const k = i * grid + j;
      const [a, b, c, e] = [values[k], values[k + 1], values[k + grid + 1], values[k + grid]]; // clockwise
      const [low, high] = [Math.min(a, b, c, e), Math.max(a, b, c, e)];
      for (const level of levels) {
        if (level <= low || level > high) continue;
        let pen = "M";
        const visit = (from, to, y, x, dy, dx) => {
          if (from < level === to < level) return;
          const t = (level - from) / (to - from);
          d += `${pen}${toX(j + x + t * dx).toFixed(1)},${toY(i + y + t * dy).toFixed(1)}`;
          pen = pen === "M" ? "L" : "M";
        };
        visit(a, b, 0, 0, 0, 1);
        visit(b, c, 0, 1, 1, 0);
        visit(c, e, 1, 1, 0, -1);
        visit(e, a, 1, 0, -1, 0);
      }
    }
  return d;
};

// ---- the panels: each returns {node, draw(now)}

const fieldPanel = (w, state, width) => {
  const { bound, grid } = state();
  const height = width - 8; // the margins of a plane are wider than high: the plot itself is square
  const plot = plane(w, { width, height, x: [-bound, bound], y: [-bound, bound], xlabel: "first coordinate", ylabel: "second coordinate", label: "The query, the keys, and the score at every place" });
  const canvas = element("canvas", { width: 256, height: 256, ariaHidden: "true" });
  canvas.dataset.export = "";
  const [left, top, side] = [plot.px(-bound), plot.py(bound), plot.px(bound) - plot.px(-bound)];
  const percent = (part, whole) => `${(100 * part) / whole}%`;
  Object.assign(canvas.style, { left: percent(left, width), top: percent(top, height), width: percent(side, width), height: percent(side, height) });
  const small = element("canvas", { width: grid, height: grid });
  const image = small.getContext("2d").createImageData(grid, grid);
  const pixels = new Uint32Array(image.data.buffer);
  let ramp = divergingRamp(w.box);

  const lines = plot.ink.appendChild(svg("path", { class: "aw-contours" }));
  const winning = plot.ink.appendChild(svg("path", { class: "aw-winning" }));
  const shaft = svg("line", { class: "aw-shaft", x1: plot.px(0), y1: plot.py(0) });
  const arrow = svg("g", { class: "aw-arrow" }, svg("circle", { class: "aw-reach", r: 16 }), svg("path", { d: "M9,0 L-9,-8 L-4,0 L-9,8 Z" }));
  const tag = written("q", { class: "aw-q" });
  const to2 = (v) => Number(clamp(v, -bound, bound).toFixed(2));
  const query = draggable(w, plot, arrow, {
    move: (x, y) => w.set("query", [to2(x), to2(y)]),
    nudge: (dx, dy) => w.set("query", [to2(w.get("query")[0] + dx / 10), to2(w.get("query")[1] + dy / 10)]),
    describe: () => {
      const [x, y] = w.get("query");
      return { name: "query", value: x, min: -bound, max: bound, text: `query at ${fixed(x)}, ${fixed(y)}` };
    },
  });
  const put = (i, x, y) => {
    const flat = [...w.get("key_points")];
    [flat[2 * i], flat[2 * i + 1]] = [to2(x), to2(y)];
    w.set("key_points", flat);
  };
  const discs = state().keys.map((_, i) => {
    const node = svg("g", { class: "aw-key" }, svg("circle", { class: "aw-reach", r: 16 }), svg("circle", { class: "aw-disc" }), written(String(i + 1), { y: 4.5 }));
    const handle = draggable(w, plot, node, {
      move: (x, y) => put(i, x, y),
      nudge: (dx, dy) => put(i, w.get("key_points")[2 * i] + dx / 10, w.get("key_points")[2 * i + 1] + dy / 10),
      describe: () => {
        const now = state();
        const [x, y] = now.keys[i];
        return { name: `key ${i + 1}`, value: x, min: -bound, max: bound, text: `key ${i + 1} at ${fixed(x)}, ${fixed(y)}: score ${fixed(now.scores[i])}, weight ${fixed(now.weights[i], 3)}` };
      },
    });
    return { node, disc: node.children[1], handle };
  });
  plot.handles.append(shaft, tag, ...discs.map((disc) => disc.node), arrow);

  const strip = element("canvas", { width: 256, height: 1, ariaHidden: "true" });
  const [low, high] = [element("span"), element("span")];
  const scale = element("div", { className: "aw-signed-scale" }, low, strip, high);
  const caption = element("figcaption");
  const shade = (now) => {
    const factor = now.top ? 127.5 / now.top : 0;
    for (let k = 0; k < pixels.length; k++) pixels[k] = ramp[clamp(127.5 + now.field[k] * factor, 0, 255) | 0];
    small.getContext("2d").putImageData(image, 0, 0);
    canvas.getContext("2d").drawImage(small, 0, 0, 256, 256); // smoothed
  };
  const shadeStrip = () => {
    const line = strip.getContext("2d").createImageData(256, 1);
    new Uint32Array(line.data.buffer).set(ramp);
    strip.getContext("2d").putImageData(line, 0, 0);
  };
  onThemeChange(() => {
    ramp = divergingRamp(w.box);
    shade(state());
    shadeStrip();
  }, w.signal);
  shadeStrip();
  const cell = side / grid;
  const [toX, toY] = [(j) => left + (j + 0.5) * cell, (i) => top + (i + 0.5) * cell];
  let painted = false;
  return {
    node: element("figure", { className: "aw-score-figure" }, caption, element("div", { className: "aw-score-plane" }, canvas, plot.node), scale),
    draw(now) {
      if (!painted || !now.fresh) {
        painted = true;
        shade(now);
        const levels = now.top ? [-0.8, -0.6, -0.4, -0.2, 0.2, 0.4, 0.6, 0.8].map((share) => share * now.top) : [];
        lines.setAttribute("d", contours(now.field, grid, levels, toX, toY));
        [low.textContent, high.textContent] = [signed(-now.top), `+${fixed(now.top)}`];
        caption.textContent = `Score of a key at each place, rule: ${now.rule}`;
      }
      const best = now.winners[RULES.indexOf(now.rule)];
      winning.setAttribute("d", contours(now.field, grid, [now.scores[best]], toX, toY));
      const [x, y] = now.query.map((v, axis) => (axis ? plot.py(v) : plot.px(v)));
      const long = Math.hypot(x - plot.px(0), y - plot.py(0)) || 1;
      const turn = (Math.atan2(y - plot.py(0), x - plot.px(0)) * 180) / Math.PI;
      setAll(shaft, { x2: x, y2: y });
      arrow.setAttribute("transform", `translate(${x} ${y}) rotate(${turn.toFixed(1)})`);
      setAll(tag, { x: x + (14 * (x - plot.px(0))) / long - 4, y: y + (16 * (y - plot.py(0))) / long + 4 });
      discs.forEach(({ node, disc }, i) => {
        node.setAttribute("transform", `translate(${plot.px(now.keys[i][0]).toFixed(1)} ${plot.py(now.keys[i][1]).toFixed(1)})`);
        node.classList.toggle("aw-best", i === best);
        disc.setAttribute("r", Math.sqrt(64 + 460 * now.weights[i]).toFixed(2));
      });
    },
    announce() {
      query.announce();
      for (const { handle } of discs) handle.announce();
    },
  };
};

// The weights as bars, who wins under which rule, and how far softmax is saturated.
const weightList = (w, state) => {
  const line = (name) => {
    const [score, bar, number] = [element("span", { className: "aw-number" }), element("span", { className: "aw-fill" }), element("span", { className: "aw-number" })];
    const node = element("li", {}, element("span", { textContent: name }), score, element("span", { className: "aw-groove", ariaHidden: "true" }, bar), number);
    return { node, score, bar, number };
  };
  const rows = state().keys.map((_, i) => line(`key ${i + 1}`));
  const meters = ["entropy", "largest slope"].map(line);
  for (const { node } of meters) node.classList.add("aw-meter");
  const head = element("li", { className: "aw-head" }, ...["", "score", "weight α", ""].map((textContent) => element("span", { textContent })));
  const wins = RULES.map((rule) => ({ name: element("span", { textContent: rule }), key: element("span") }));
  const note = element("p", { className: "aw-hint" });
  const most = Math.log(rows.length);
  return {
    node: element("div", { className: "aw-score-side" }, element("ul", { className: "aw-bars" }, head, ...rows.map((r) => r.node)),
      element("ul", { className: "aw-bars" }, ...meters.map((m) => m.node)), note,
      element("p", { className: "aw-hint", textContent: "The winner under each rule:" }),
      element("ul", { className: "aw-wins" }, ...wins.map(({ name, key }) => element("li", {}, name, key)))),
    draw(now) {
      const best = now.winners[RULES.indexOf(now.rule)];
      rows.forEach(({ node, score, bar, number }, i) => {
        score.textContent = signed(now.scores[i]);
        bar.style.width = `${100 * now.weights[i]}%`;
        number.textContent = fixed(now.weights[i], 3);
        node.classList.toggle("aw-top", i === best);
      });
      [[now.entropy, most], [now.slope, 0.25]].forEach(([value, top], i) => {
        meters[i].score.textContent = fixed(value, 3);
        meters[i].bar.style.width = `${(100 * value) / top}%`;
        meters[i].number.textContent = `/ ${fixed(top)}`;
      });
      note.textContent = `Entropy of the weights, at most log ${rows.length}; largest entry αᵢ(1 − αᵢ) of the softmax's Jacobian, at most ¼.`;
      wins.forEach(({ name, key }, r) => {
        key.textContent = `key ${now.winners[r] + 1}`;
        name.parentNode.classList.toggle("aw-top", RULES[r] === now.rule);
      });
    },
  };
};

const histogramPanel = (w, state, width, side) => {
  const { reach, bins } = state().random;
  const [from, to] = [-reach[side], reach[side]];
  const plot = plane(w, { width, height: 176, x: [from, to], y: [0, 1], xlabel: side ? "q · k / √d" : "q · k", ylabel: "count", label: side ? "Scores divided by √d" : "Plain dot products" });
  const shape = plot.ink.appendChild(svg("path", { class: side ? "aw-hill aw-tamed" : "aw-hill" }));
  const caption = element("figcaption");
  return {
    node: element("figure", { className: "aw-random-panel" }, caption, plot.node),
    draw({ random }) {
      const { counts, std } = random.sides[side];
      plot.setY([0, Math.max(...counts) * 1.06]);
      const x = (i) => plot.px(from + ((to - from) * i) / bins).toFixed(1);
      let d = `M${x(0)},${plot.py(0)}`;
      for (let i = 0; i < bins; i++) d += `V${plot.py(counts[i]).toFixed(1)}H${x(i + 1)}`;
      shape.setAttribute("d", `${d}V${plot.py(0)}Z`);
      caption.textContent = `${side ? "With" : "Without"} √d: deviation ${fixed(std)}`;
    },
  };
};

const entropyPanel = (w, state, width) => {
  const { stops, full } = state().random;
  const ends = [stops[0], stops.at(-1)];
  const plot = plane(w, { width, height: 176, x: ends, y: [0, 3], xlog: true, xlabel: "dimension d", ylabel: "entropy", label: "Mean entropy of the weights against the dimension" });
  plot.ink.appendChild(svg("path", { class: "aw-half", d: plot.path(ends, [full / 2, full / 2]) }));
  const lines = ["aw-wild", "aw-tamed"].map((name) => plot.line(name));
  const label = written("½ log 16", { class: "aw-half-text", x: plot.px(ends[1]) - 4, y: plot.py(full / 2) + 13, "text-anchor": "end" });
  const dots = ["aw-wild", "aw-tamed"].map((name) => svg("circle", { class: `aw-dot ${name}`, r: 5 }));
  const marker = svg("g", { class: "aw-dial-mark" }, svg("rect", { class: "aw-reach", x: -14, y: plot.py(3), width: 28, height: plot.py(0) - plot.py(3) }), svg("line", { y1: plot.py(3), y2: plot.py(0) }), ...dots);
  plot.handles.append(label, marker);
  const handle = draggable(w, plot, marker, {
    move: (x) => w.set("dimension", stops[nearestStop(stops, x)]),
    nudge: (dx, dy) => w.set("dimension", stops[clamp(nearestStop(stops, w.get("dimension")) + Math.sign(dx + dy), 0, stops.length - 1)]),
    describe: () => {
      const { random } = state();
      return { name: "dimension", value: random.d, min: ends[0], max: ends[1], text: `dimension ${random.d}: entropy ${fixed(random.sides[0].entropy)} without and ${fixed(random.sides[1].entropy)} with √d` };
    },
  });
  return {
    node: element("figure", { className: "aw-random-panel" }, element("figcaption", { textContent: "Mean entropy of the weights" }), plot.node),
    draw({ random }) {
      lines.forEach((line, side) => line.setAttribute("d", plot.path(stops, random.curves[side])));
      marker.setAttribute("transform", `translate(${plot.px(random.d)} 0)`);
      dots.forEach((dot, side) => dot.setAttribute("cy", plot.py(random.sides[side].entropy)));
    },
    announce: handle.announce,
  };
};
const nearestStop = (stops, d) => {
  const distance = stops.map((stop) => Math.abs(Math.log(stop / Math.max(d, 1e-9))));
  return distance.indexOf(Math.min(...distance));
};

// A slider that goes from stop to stop.
const dimensionDial = (w) => {
  const stops = w.model.get("_dial");
  const input = element("input", { type: "range", id: freshId(), min: 0, max: stops.length - 1, step: 1 });
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

const numberTable = () => {
  const names = ["deviation of the scores", "mean entropy, of log 16", "largest slope, median"];
  const cells = names.map(() => [0, 1].map(() => element("td")));
  const head = ["without √d", "with √d"].map((textContent) => element("th", { scope: "col", textContent }));
  return {
    node: element("table", { className: "aw-figures" }, element("thead", {}, element("tr", {}, element("td"), ...head)),
      element("tbody", {}, ...names.map((textContent, i) => element("tr", {}, element("th", { scope: "row", textContent }), ...cells[i])))),
    draw({ random }) {
      random.sides.forEach(({ std, entropy, slope }, side) => {
        const texts = [fixed(std), fixed(entropy), slope < 0.001 ? slope.toExponential(1) : fixed(slope, 3)];
        texts.forEach((text, i) => (cells[i][side].textContent = text));
      });
    },
  };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const compute = scoreLab(w);
  let now = compute();
  const state = () => now;
  w.controls.append(select(w, "rule"), slider(w, "temperature", { format: (t) => String(Number(t.toPrecision(3))), log: true }));
  const dial = dimensionDial(w);

  let panels = [];
  const build = () => {
    const room = w.stage.clientWidth || 770;
    const two = room >= 600; // else the panels stand below each other
    const main = two ? Math.round(Math.min(room * 0.56, 440)) : Math.min(room, 440);
    const half = room >= 480 ? Math.floor((room - 14) / 2) : room;
    const map = fieldPanel(w, state, main);
    const list = weightList(w, state);
    const table = numberTable();
    const below = [histogramPanel(w, state, half, 0), histogramPanel(w, state, half, 1), entropyPanel(w, state, half)];
    for (const { node } of [...below, table]) node.style.width = `${half}px`;
    map.node.style.width = `${main}px`;
    panels = [map, list, ...below, table];
    const { queries, keys } = now.random;
    w.stage.replaceChildren(map.node, list.node,
      element("div", { className: "aw-random" },
        element("div", { className: "aw-random-head" },
          element("strong", { textContent: "In d dimensions" }), dial,
          element("span", { className: "aw-hint", textContent: `${queries} random queries, ${keys} random keys, components of variance 1; the temperature counts here, too.` })),
        element("div", { className: "aw-random-panels" }, ...below.map((p) => p.node), table.node)));
  };
  let [built, resting] = [0, 0];
  const draw = () => {
    now = compute();
    if (built !== now.keys.length) build(); // from Python, the number of keys may change
    built = now.keys.length;
    for (const panel of panels) panel.draw(now);
    clearTimeout(resting);
    resting = setTimeout(() => panels.forEach((panel) => panel.announce?.()), 150);
  };

  const half = () => now.random.full / 2; // of the greatest entropy
  const lowest = (values) => argmax(values.map((v) => -v));
  w.goals([
    { text: "Make dot product and cosine disagree about the winner.", reached: () => now.winners[0] !== now.winners[2] },
    { text: "Let the additive rule choose the key that the dot product ranks last.", reached: () => now.winners[3] === lowest(now.all[0]) },
    { text: "Saturate the softmax over the keys of the plane: largest slope below 0.01.", reached: () => now.slope < 0.01 },
    { text: "At temperature 1, turn the dial to the first stop at which the entropy without √d falls below half of log 16.",
      reached: () => now.temperature === 1 && now.random.at > 0 && now.random.curves[0][now.random.at] < half() && now.random.curves[0][now.random.at - 1] >= half() },
    { text: "At d ≥ 256, undo the damage without √d, by temperature alone: the entropy that √d gives at temperature 1, within 2 %.",
      reached: () => now.random.at >= 0 && now.random.d >= 256 && Math.abs(now.random.sides[0].entropy / now.random.atOne[1][now.random.at] - 1) < 0.02 },
  ]);
  const reported = () => {
    const some = [];
    for (let i = 0; i < now.grid; i += now.stride) for (let j = 0; j < now.grid; j += now.stride) some.push(now.field[i * now.grid + j]);
    return some;
  };
  w.begin(draw, () => ({
    scores: now.scores, weights: now.weights, winners: now.winners, spread: [now.entropy, now.slope], field: reported(),
    random: now.random.sides.flatMap(({ std, entropy, slope }) => [std, entropy, slope]),
    histogram: now.random.sides.flatMap(({ counts }) => [...counts]), entropies: now.random.curves.flat(),
  }));
}
export default { render: onceShown(render) };
