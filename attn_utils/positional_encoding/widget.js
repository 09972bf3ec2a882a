import { floatsOf } from "../widgets/kit/buffers.js";
import { button, select, slider, toggle } from "../widgets/kit/controls.js";
import { clamp, element, fixed, setAll, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { heatmap } from "../widgets/kit/heatmap.js";
import { softmaxInto } from "../widgets/kit/math.js";
import { plane } from "../widgets/kit/plot.js";
import { onThemeChange, signedRamp } from "../widgets/kit/theme.js";

// A position as the time on a row of clocks: its encoding, its scores, and what shuffling words does.

// ---- the arithmetic (PositionExplorer.reference computes the same in torch)

const frequenciesOf = (base, width) => Float64Array.from({ length: width / 2 }, (_, j) => base ** ((-2 * j) / width));
// Mean cosine of all hands at an offset: the score of two positions that far apart.
const meanCosine = (omega, offset) => {
  let sum = 0;
  for (let j = 0; j < omega.length; j++) sum += Math.cos(offset * omega[j]);
  return sum / omega.length;
};
// Turns the pairs of row i of x (rows of `width`) by i times the frequencies, in place.
const turnRows = (x, width, omega) => {
  for (let i = 0; i * width < x.length; i++)
    for (let j = 0; j < omega.length; j++) {
      const at = i * width + 2 * j;
      const [cos, sin] = [Math.cos(i * omega[j]), Math.sin(i * omega[j])];
      [x[at], x[at + 1]] = [x[at] * cos - x[at + 1] * sin, x[at] * sin + x[at + 1] * cos];
    }
};
const times = (x, rows, weights, from, width) => {
  const y = new Float64Array(rows * width);
  for (let i = 0; i < rows; i++)
    for (let k = 0; k < width; k++) for (let j = 0; j < width; j++) y[i * width + j] += x[i * width + k] * weights[from + k * width + j];
  return y;
};

// The matrix, the scores and their curve; none depends on the position, so they are kept until
// something they depend on changes.
const encodingOf = (w) => {
  const [rows, trained] = w.model.get("_sizes");
  const [table, starts] = [floatsOf(w.model.get("_table")), w.model.get("_starts")];
  const offsets = 2 * trained - 1;
  const turning = (kind, width, base) => {
    const [omega, matrix] = [frequenciesOf(base, width), new Float64Array(rows * width)];
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < omega.length; j++) {
        const angle = i * omega[j] + (kind === "rotary" ? starts[j] : 0);
        const at = i * width + 2 * j;
        matrix[at] = kind === "rotary" ? Math.cos(angle) : Math.sin(angle);
        matrix[at + 1] = kind === "rotary" ? Math.sin(angle) : Math.cos(angle);
      }
    // the score at offsets 0, 1, 2, …: what the goals ask for
    const reach = Float64Array.from({ length: trained }, (_, offset) => meanCosine(omega, offset));
    return { omega, matrix, reach, limit: 1 };
  };
  const turningScores = ({ omega }, look) => {
    const curve = Float64Array.from({ length: offsets }, (_, o) => meanCosine(omega, o - trained + 1 - look)); // one number a diagonal
    const scores = new Float64Array(trained * trained);
    for (let i = 0; i < trained; i++) for (let j = 0; j < trained; j++) scores[i * trained + j] = curve[i - j + trained - 1];
    return { scores, curve, low: curve, high: curve };
  };
  const learned = (width, base) => {
    const matrix = new Float64Array(rows * width);
    for (let i = 0; i < trained; i++) for (let c = 0; c < width; c++) matrix[i * width + c] = table[i * 64 + c];
    return { omega: frequenciesOf(base, width), matrix, limit: matrix.reduce((m, v) => Math.max(m, Math.abs(v)), 0) };
  };
  const learnedScores = ({ matrix }, width) => {
    const [scores, curve] = [new Float64Array(trained * trained), new Float64Array(offsets)];
    const [low, high] = [new Float64Array(offsets).fill(Infinity), new Float64Array(offsets).fill(-Infinity)];
    for (let i = 0; i < trained; i++)
      for (let j = 0; j <= i; j++) {
        let dot = 0;
        for (let c = 0; c < width; c++) dot += matrix[i * width + c] * matrix[j * width + c];
        const score = dot / (width / 2);
        scores[i * trained + j] = scores[j * trained + i] = score;
        for (const at of [trained - 1 + i - j, trained - 1 - i + j]) {
          low[at] = Math.min(low[at], score);
          high[at] = Math.max(high[at], score);
        }
        curve[trained - 1 + i - j] += score / (trained - i + j);
      }
    for (let o = 1; o < trained; o++) curve[trained - 1 - o] = curve[trained - 1 + o];
    return { scores, curve, low, high };
  };
  let now = {};
  return () => {
    const [kind, width, base, look] = ["encoding", "width", "base", "look_back"].map(w.get);
    const table = kind === "learned";
    const kept = now.kind === kind && now.width === width && (table || now.base === base);
    if (kept && (table || now.look === look)) return now;
    const encoding = kept ? now : table ? learned(width, base) : turning(kind, width, base);
    now = { ...encoding, ...(table ? learnedScores(encoding, width) : turningScores(encoding, look)), kind, width, base, look, trained, rows };
    return now;
  };
};

// The tiny layer: five words of width 8 with fixed weights.
const layerOf = (w) => {
  const [, , size] = w.model.get("_sizes");
  const [all, table, count] = [floatsOf(w.model.get("_layer")), floatsOf(w.model.get("_table")), w.model.get("_words").length];
  const attend = (order, kind, base) => {
    const omega = frequenciesOf(base, size);
    const x = new Float64Array(count * size);
    order.forEach((word, i) => {
      for (let c = 0; c < size; c++) {
        const angle = i * omega[c >> 1];
        const added = kind === "learned" ? table[i * 64 + c] : kind === "sinusoidal" ? (c % 2 ? Math.cos(angle) : Math.sin(angle)) : 0;
        x[i * size + c] = all[word * size + c] + added;
      }
    });
    const [q, k, v] = [0, 1, 2].map((m) => times(x, count, all, count * size + m * size * size, size));
    if (kind === "rotary") for (const rows of [q, k]) turnRows(rows, size, omega);
    const [out, row] = [new Float64Array(count * size), new Float64Array(count)];
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) {
        row[j] = 0;
        for (let c = 0; c < size; c++) row[j] += (q[i * size + c] * k[j * size + c]) / Math.sqrt(size);
      }
      softmaxInto(row, row);
      for (let j = 0; j < count; j++) for (let c = 0; c < size; c++) out[i * size + c] += row[j] * v[j * size + c];
    }
    return out;
  };
  let [last, key] = [null, ""];
  return () => {
    const order = w.get("order");
    const kind = w.get("positions_on") ? w.get("encoding") : "none";
    const wanted = `${order} ${kind} ${kind === "none" || kind === "learned" || w.get("base")}`;
    if (wanted === key) return last;
    key = wanted;
    const outputs = attend(order, kind, w.get("base"));
    const before = attend(order.map((_, i) => i), kind, w.get("base"));
    const changes = new Float64Array(count);
    order.forEach((word, i) => {
      for (let c = 0; c < size; c++) changes[word] = Math.max(changes[word], Math.abs(outputs[i * size + c] - before[word * size + c]));
    });
    last = { order, outputs, changes, size };
    return last;
  };
};

// ---- the panels

const brief = (v) => (v < 10 ? v.toFixed(1) : v < 1000 ? v.toFixed(0) : v < 1e6 ? `${(v / 1000).toFixed(v < 1e4 ? 1 : 0)}k` : "∞");
const TAU = 2 * Math.PI;

// Clock hands, 12 o'clock is angle 0, clockwise. A thin second hand shows where a query looks back to.
const clockPanel = (w, room) => {
  const node = svg("svg", { class: "aw-clocks", role: "img", "data-export": "" });
  let [pairs, labelled, hands] = [0, "", []];
  const build = () => {
    const across = Math.min(pairs, Math.floor(room / (room < 450 ? 44 : 56)));
    const lines = Math.ceil(pairs / across);
    const even = Math.ceil(pairs / lines); // no nearly empty last line
    const cell = Math.min(92, room / even);
    const [r, high, left] = [cell / 2 - 4, cell + 15, (room - even * cell) / 2];
    setAll(node, { viewBox: `0 0 ${room} ${lines * high}`, width: room, height: lines * high });
    const hours = Array.from({ length: 12 }, (_, h) => {
      const [x, y, from] = [Math.sin((h * TAU) / 12) * r, -Math.cos((h * TAU) / 12) * r, h % 3 ? 0.9 : 0.8];
      return `M${x.toFixed(1)},${y.toFixed(1)}L${(x * from).toFixed(1)},${(y * from).toFixed(1)}`;
    }).join("");
    hands = Array.from({ length: pairs }, (_, j) => {
      const back = svg("path", { class: "aw-back" });
      const hand = svg("path", { class: "aw-hand", "stroke-width": Math.max(2, r / 10).toFixed(1) });
      const text = svg("text", { y: (r + 15).toFixed(1), "text-anchor": "middle", "font-size": 11 });
      const group = svg("g", { transform: `translate(${left + cell * ((j % even) + 0.5)} ${Math.floor(j / even) * high + cell / 2})` },
        svg("circle", { class: "aw-face", r }), svg("path", { class: "aw-hour", d: hours }), back, hand, text);
      return { back, hand, text, group, r, dot: Math.max(2, r / 9) };
    });
    node.replaceChildren(...hands.map((h) => h.group));
  };
  const tipAt = (x, y, dot) => `M0,0L${x.toFixed(2)},${y.toFixed(2)}m${-dot},0a${dot},${dot} 0 1 0 ${2 * dot},0a${dot},${dot} 0 1 0 ${-2 * dot},0`;
  return {
    node,
    draw(now, position) {
      const { width, omega, matrix, limit, kind, look } = now;
      const learned = kind === "learned";
      const missing = learned && position >= now.trained;
      if (pairs !== width / 2) {
        pairs = width / 2;
        build();
        labelled = "";
      }
      const labels = missing ? "?" : learned ? "none" : String(now.base);
      hands.forEach(({ back, hand, text, r, dot }, j) => {
        const at = position * width + 2 * j;
        const scale = (r * 0.92) / limit;
        const [x, y] = kind === "rotary" ? [scale * matrix[at + 1], scale * matrix[at]] : [scale * matrix[at], scale * matrix[at + 1]];
        hand.setAttribute("d", missing ? "" : tipAt(x, -y, dot));
        if (look && !learned) {
          const [cos, sin] = [Math.cos(look * omega[j]), Math.sin(look * omega[j])];
          back.setAttribute("d", `M0,0L${(x * cos - y * sin).toFixed(2)},${(-y * cos - x * sin).toFixed(2)}`);
        } else if (back.hasAttribute("d")) back.removeAttribute("d");
        if (labels !== labelled) text.textContent = missing ? "?" : learned ? "" : brief(TAU / omega[j]);
      });
      labelled = labels;
      node.setAttribute("aria-label", missing
        ? `No hands: the learned table has no row for position ${position}`
        : learned ? `${pairs} pairs of the learned row of position ${position}, drawn as hands of different lengths`
          : `${pairs} clock hands at position ${position}. The fastest has made ${fixed(position / TAU)} turns, the slowest ${fixed((position * omega.at(-1)) / TAU, 4)}.`);
    },
  };
};

const counterPanel = () => {
  const digits = Array.from({ length: 7 }, () => element("span", { className: "aw-digit" }));
  return {
    node: element("p", { className: "aw-counter" }, element("span", { textContent: "the same in binary, fastest digit first" }),
      element("span", { className: "aw-digits" }, ...digits)),
    draw: (position) => digits.forEach((digit, k) => {
      const bit = (position >> k) & 1;
      digit.textContent = bit;
      digit.classList.toggle("aw-one", bit === 1);
    }),
  };
};

const curvePanel = (w, trained, width) => {
  const plot = plane(w, { width, height: 190, x: [1 - trained, trained - 1], y: [-1, 1.2], xlabel: "offset: query position − key position", ylabel: "score", label: "Score against offset" });
  const band = plot.ink.appendChild(svg("path", { class: "aw-band" }));
  const half = plot.ink.appendChild(svg("path", { class: "aw-half" }));
  const curve = plot.line("aw-curve");
  const peak = plot.ink.appendChild(svg("circle", { class: "aw-peak", r: 5 }));
  const offsets = Array.from({ length: 2 * trained - 1 }, (_, o) => o - trained + 1);
  return {
    node: element("figure", { className: "aw-curve-panel" }, element("figcaption", { textContent: "Score against offset" }), plot.node),
    draw({ curve: values, low, high, kind, look }) {
      const learned = kind === "learned";
      curve.setAttribute("d", plot.path(offsets, values));
      band.setAttribute("d", learned ? `${plot.path(offsets, high)}${plot.path([...offsets].reverse(), [...low].reverse()).replace("M", "L")}Z` : "");
      const at = learned ? 0 : look;
      const top = values[at + trained - 1];
      half.setAttribute("d", `M${plot.px(1 - trained)},${plot.py(top / 2)}H${plot.px(trained - 1)}`);
      setAll(peak, { cx: plot.px(at), cy: plot.py(top) });
    },
  };
};

// Five words as cards; each carries the output of its word as eight coloured cells.
const wordPanel = (w) => {
  const words = w.model.get("_words");
  const list = element("ol", { className: "aw-words" });
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const report = element("p", { className: "aw-report" });
  let [state, ramp] = [null, signedRamp(w.box)];
  const put = (order, speak = true) => {
    const places = new Map(cards.map((card) => [card, card.node.getBoundingClientRect().left]));
    const focused = document.activeElement;
    w.set("order", order);
    arrange(order);
    if (list.contains(focused)) focused.focus();
    if (!still.matches)
      for (const [card, left] of places) {
        const by = left - card.node.getBoundingClientRect().left;
        if (by) card.node.animate([{ transform: `translateX(${by}px)` }, { transform: "none" }], { duration: 320, easing: "ease-in-out" });
      }
    w.commit();
    if (speak) requestAnimationFrame(() => w.say(`${order.map((i) => words[i]).join(" ")}: outputs changed by up to ${fixed(Math.max(...state.changes), 3)}`));
  };
  const move = (word, by) => {
    const order = [...w.get("order")];
    const from = order.indexOf(word);
    const to = from + by;
    if (to < 0 || to >= order.length) return;
    [order[from], order[to]] = [order[to], order[from]];
    put(order);
  };
  const cards = words.map((name, word) => {
    const strip = element("canvas", { width: 8, height: 1, className: "aw-strip" });
    strip.dataset.export = "";
    const change = element("span", { className: "aw-change" });
    const arrow = (sign, by, where) => button(sign, () => move(word, by), { ariaLabel: `move ${name} to the ${where}` });
    const label = element("span", { className: "aw-word", textContent: name });
    label.dataset.exportText = "";
    const node = element("li", {}, label, strip, change,
      element("span", { className: "aw-arrows" }, arrow("←", -1, "left"), arrow("→", 1, "right")));
    return { node, strip, change };
  });
  const arrange = (order) => {
    const wanted = order.map((word) => cards[word].node);
    if (wanted.some((node, i) => list.children[i] !== node)) list.append(...wanted);
  };
  const shuffled = () => {
    const order = [...w.get("order")];
    const before = order.join();
    while (order.join() === before)
      for (let i = order.length - 1; i > 0; i--) {
        const j = Math.floor(Math.random() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
    return order;
  };
  const paint = () => {
    if (!state) return;
    state.order.forEach((word, i) => {
      const context = cards[word].strip.getContext("2d");
      const image = context.createImageData(state.size, 1);
      const pixels = new Uint32Array(image.data.buffer);
      for (let c = 0; c < state.size; c++) pixels[c] = ramp[clamp((state.outputs[i * state.size + c] + 2) * 63.75, 0, 255) | 0];
      context.putImageData(image, 0, 0);
    });
  };
  onThemeChange(() => {
    ramp = signedRamp(w.box);
    paint();
  }, w.signal);
  const node = element("section", { className: "aw-layer" },
    element("p", { className: "aw-layer-title", textContent: "Shuffle the words: does each output stay with its word?" }),
    element("div", { className: "aw-layer-controls" }, toggle(w, "positions_on"), button("Shuffle", () => put(shuffled())), button("Back in order", () => put(words.map((_, i) => i)))),
    list, report);
  return {
    node,
    draw(now) {
      if (now === state) return;
      state = now;
      arrange(now.order);
      paint();
      cards.forEach(({ change, node: card }, word) => {
        const amount = now.changes[word];
        change.textContent = `changed by ${fixed(amount, 3)}`;
        card.classList.toggle("aw-changed", amount > 1e-6);
      });
      const moved = now.order.some((word, i) => word !== i);
      const most = Math.max(...now.changes);
      report.textContent = !moved ? "The words stand in order. Eight cells under each: its output, blue below 0, warm colours above."
        : most < 1e-6 ? "Every output moved along with its word, unchanged: the layer cannot tell the two sentences apart."
          : `The outputs have changed, by up to ${fixed(most)}: the layer can tell the two sentences apart.`;
    },
  };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const [rows, trained] = model.get("_sizes");
  // A link may bring numbers that the sliders cannot produce.
  const settle = () => {
    for (const [name, step] of [["position", 1], ["look_back", 1], ["width", 2]]) {
      const value = step * Math.round(w.get(name) / step);
      if (value !== w.get(name)) w.set(name, value);
    }
    if (new Set(w.get("order")).size !== 5 || !w.get("order").every(Number.isInteger)) w.set("order", [0, 1, 2, 3, 4]);
  };
  settle();
  const [encode, attend] = [encodingOf(w), layerOf(w)];
  let now = encode();
  let layer = attend();

  const position = slider(w, "position", { format: (v) => v.toFixed(0) });
  position.classList.add("aw-scrub");
  let running = 0;
  const stop = () => {
    clearInterval(running);
    running = 0;
    run.textContent = "Run the clocks";
  };
  const run = button("Run the clocks", () => {
    if (running) {
      stop();
      return w.commit();
    }
    if (w.get("position") >= rows - 1) w.set("position", 0);
    run.textContent = "Stop";
    running = setInterval(() => {
      w.set("position", Math.min(rows - 1, w.get("position") + 1));
      if (w.get("position") < rows - 1) return;
      stop();
      w.commit();
    }, 180);
    return undefined;
  });
  signal?.addEventListener("abort", () => clearInterval(running));
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  w.controls.append(element("div", { className: "aw-scrub-line" }, position, ...(still ? [] : [run])), select(w, "encoding"), slider(w, "width", { format: (v) => v.toFixed(0) }),
    slider(w, "base", { format: (v) => Math.round(v).toLocaleString("en-GB"), log: true }),
    slider(w, "look_back", { format: (v) => v.toFixed(0) }));

  const room = w.stage.clientWidth || 670; // read once: asking again after a change costs a layout
  const [clocks, counter] = [clockPanel(w, room), counterPanel()];
  const legend = element("p", { className: "aw-legend" });
  const refusal = element("p", { className: "aw-refusal", role: "alert" });
  const [matrixPlace, lower] = [element("div", { className: "aw-place" }), element("div", { className: "aw-lower" })];
  const clockPlace = element("div", { className: "aw-clock-place" }, clocks.node);
  const words = wordPanel(w);
  w.stage.append(element("div", { className: "aw-upper" }, clockPlace, refusal, legend, counter.node), lower, words.node);

  const side = room >= 560 ? Math.round((room - 16) / 2) - 84 : Math.min(room - 80, 300);
  let colours = null; // one ramp for all maps
  onThemeChange(() => (colours = null), signal);
  const ramp = (box) => (colours ??= signedRamp(box));
  const maps = new Map(); // one for each width
  const mapOf = (width) => {
    if (maps.has(width)) return maps.get(width);
    const map = heatmap(w, {
      rows, columns: width, width: side, aspect: "1", ramp, label: "Encodings, a row each", xlabel: "column", ylabel: "position",
      nameOf: (i, j, value) => (now.kind === "learned" && i >= trained ? `Position ${i}: the learned table has no such row` : `Position ${i}, column ${j}: ${fixed(value, 3)}`),
      onPress: (i) => {
        w.set("position", i);
        w.commit();
      },
    });
    map.node.querySelector(".aw-heatmap-frame").append(element("span", { className: "aw-ends", ariaHidden: "true" }, element("span", { textContent: "trained up to here" })));
    maps.set(width, map);
    return map;
  };
  const pairs = heatmap(w, {
    rows: trained, columns: trained, width: side, aspect: "1", label: "Scores of all pairs", xlabel: "key position", ylabel: "query position",
    nameOf: (i, j, value) => `Query position ${i}, key position ${j}, offset ${i - j}: score ${fixed(value, 3)}`,
    onPress: (i) => {
      w.set("position", i);
      w.commit();
    },
  });
  const curve = curvePanel(w, trained, room);
  lower.append(matrixPlace, pairs.node, curve.node);

  const draw = () => {
    settle();
    const before = now;
    now = encode();
    layer = attend();
    const at = w.get("position");
    const missing = now.kind === "learned" && at >= trained;
    const map = mapOf(now.width);
    if (matrixPlace.firstChild !== map.node) matrixPlace.replaceChildren(map.node);
    if (now !== before || !draw.done) {
      map.draw(now.matrix, [-now.limit, now.limit]);
      pairs.draw(now.scores, [Math.min(0, ...now.low), Math.max(0, ...now.high)]);
      curve.draw(now);
      draw.done = true;
    }
    map.node.classList.toggle("aw-cut", now.kind === "learned");
    map.mark(at);
    pairs.mark(at);
    clocks.draw(now, at);
    counter.draw(at);
    words.draw(layer);
    const text = missing ? `The learned table has rows 0 to ${trained - 1}. There is none for position ${at}: an error, not a guess.` : "";
    if (refusal.textContent !== text) refusal.textContent = text;
    const said = now.kind === "learned" ? "A learned row has no clockwork: its pairs are drawn as hands, of any length."
      : now.kind === "rotary" ? "A query's pairs as hands, turned by position · frequency. Below each: positions in a full turn."
        : "Tip of hand j: (sin, cos), columns 2j and 2j + 1. Below each: positions in a full turn.";
    legend.textContent = said + (now.kind !== "learned" && now.look ? ` Thin hands: where the query looks, ${now.look} back.` : "");
  };

  const clockwork = () => now.kind !== "learned";
  const best = (i) => {
    const row = now.scores.subarray(i * trained, (i + 1) * trained);
    return row.indexOf(Math.max(...row));
  };
  w.goals([
    { text: "Find a position above 0 at which the fastest hand is back at the start (within 0.05 radian).",
      reached: () => clockwork() && w.get("position") > 0 && Math.abs(w.get("position") - TAU * Math.round(w.get("position") / TAU)) < 0.05 },
    { text: "Make two positions below 60, at least 10 apart, look nearly the same (score 0.98): which width and base?",
      reached: () => clockwork() && now.reach.subarray(10, 60).some((score) => score >= 0.98) },
    { text: "Make the score fall to half within 5 positions, and stay below for all offsets that follow.",
      reached: () => clockwork() && now.reach.subarray(5).every((score) => score <= 0.5) },
    { text: "At position 20, make the best match position 12.", reached: () => w.get("position") === 20 && best(20) === 12 },
    { text: "Shuffle so that an output changes by more than 0.1.", reached: () => Math.max(...layer.changes) > 0.1 },
    { text: "Ask the learned table for a position that it does not have.", reached: () => !clockwork() && w.get("position") >= trained },
  ]);
  w.begin(draw, () => ({
    vector: now.matrix.subarray(w.get("position") * now.width, (w.get("position") + 1) * now.width),
    matrix: now.matrix, scores: now.scores, curve: now.curve, outputs: layer.outputs, changes: layer.changes,
  }));
}
export default { render: onceShown(render) };
