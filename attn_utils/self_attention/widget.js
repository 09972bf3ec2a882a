import { button, field, select, slider, toggle } from "../widgets/kit/controls.js";
import { clamp, element, freshId, setAll, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { softmaxInto } from "../widgets/kit/math.js";

// The mask studio: softmax(QKᵀ/√d + mask) V, one small matrix after the other, every entry open.
const MOST = 8;
const STEPS = ["the inputs", "Q, K and V", "the scores QKᵀ", "the scaled scores", "the masked scores", "the weights", "the output"];
const WAYS = [
  ["-inf", "−∞ before the softmax"],
  ["-1e9", "−1e9 before the softmax"],
  ["zero after softmax", "0 after the softmax"],
  ["package", "−∞, empty rows 0 (the package)"],
];

// ---- the arithmetic, in double precision (SelfAttentionExplorer.reference computes the same in torch)

const tokensOf = (words) => words.split(/[ \t\r\n]+/).filter(Boolean);
// Two numbers that belong to a token: a hash of its letters, as in Python (embedding_of).
const vectorOf = (token, worked) => {
  const known = worked.find(([name]) => name === token);
  if (known) return known.slice(1);
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(token)) h = Math.imul(h ^ byte, 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = (h ^ (h >>> 15)) >>> 0;
  return [(((h & 0xffff) % 41) - 20) / 10, (((h >>> 16) % 41) - 20) / 10];
};
// (n, 2) times (2, 2), row by row.
const project = (a, n, m) => {
  const out = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) for (let c = 0; c < 2; c++) out[2 * i + c] = a[2 * i] * m[c] + a[2 * i + 1] * m[2 + c];
  return out;
};
const permitter = (w) => {
  const [mask, valid, reach, cells] = ["mask", "valid", "reach", "cells"].map(w.get);
  return {
    none: () => true,
    causal: (i, j) => j <= i,
    padding: (i, j) => j < valid,
    window: (i, j) => Math.abs(i - j) <= reach,
    "my own": (i, j) => cells[MOST * i + j] > 0.5,
  }[mask];
};
// Weights under one way of masking, with what it does to the rows.
const attendBy = (way, scaledScores, permitted, n) => {
  const masked = new Float64Array(n * n);
  const weights = new Float64Array(n * n);
  const [sums, leaked] = [new Float64Array(n), new Float64Array(n)];
  const fill = { "-1e9": -1e9, "-inf": -Infinity, package: -Infinity }[way];
  for (let i = 0; i < n; i++) {
    let open = 0;
    for (let j = 0; j < n; j++) {
      const at = i * n + j;
      if (permitted[at]) open++;
      masked[at] = permitted[at] || fill === undefined ? scaledScores[at] : fill;
    }
    if (open || way !== "package") softmaxInto(masked, weights, i * n, n);
    for (let j = 0; j < n; j++) {
      const at = i * n + j;
      if (!permitted[at]) leaked[i] += weights[at];
      if (!permitted[at] && fill === undefined) weights[at] = 0;
      sums[i] += weights[at];
    }
  }
  return { masked, weights, sums, leaked, dead: sums.reduce((count, s) => count + Number.isNaN(s), 0) };
};
const compute = (w) => {
  const tokens = tokensOf(w.get("words")).slice(0, MOST);
  const n = tokens.length;
  const [a, wq, wk, wv, scaled, way] = ["inputs", "w_q", "w_k", "w_v", "scaled", "way"].map(w.get);
  const [q, k, v] = [wq, wk, wv].map((m) => project(a, n, m));
  const may = permitter(w);
  const [raw, scores, permitted] = [new Float64Array(n * n), new Float64Array(n * n), new Uint8Array(n * n)];
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      raw[i * n + j] = q[2 * i] * k[2 * j] + q[2 * i + 1] * k[2 * j + 1];
      scores[i * n + j] = scaled ? raw[i * n + j] / Math.SQRT2 : raw[i * n + j];
      permitted[i * n + j] = Number(may(i, j));
    }
  const all = WAYS.map(([name]) => attendBy(name, scores, permitted, n));
  const { masked, weights, sums, leaked, dead } = all[WAYS.findIndex(([name]) => name === way)];
  const output = new Float64Array(2 * n);
  for (let i = 0; i < n; i++) for (let c = 0; c < 2; c++) for (let j = 0; j < n; j++) output[2 * i + c] += weights[i * n + j] * v[2 * j + c];
  return { tokens, n, a, wq, wk, wv, q, k, v, raw, scores, scaled, permitted, masked, weights, sums, leaked, dead, output, way, all, shown: Math.round(w.get("shown")) };
};

// ---- numbers and words for the panels

const minus = (text) => text.replace("-", "−");
const shortly = (v) => {
  if (Number.isNaN(v)) return "NaN";
  if (!Number.isFinite(v)) return v < 0 ? "−∞" : "∞";
  if (v === -1e9) return "−1e9";
  const size = Math.abs(v);
  return minus(v.toFixed(size >= 999.5 ? 0 : size >= 99.5 ? 1 : 2)).replace(/^−(0\.?0*)$/, "$1");
};
const clipped = (token, most = 6) => {
  const letters = [...token];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : token;
};
const LOW = "₀₁₂₃₄₅₆₇₈₉";
const sub = (i) => LOW[i + 1];

// "Q = a W_q" with the letter after the underscore set low.
const lowered = (text) => text.split(/_(\w)/).map((part, i) => (i % 2 ? element("sub", { textContent: part }) : part));

// A matrix as an SVG of cells: names of rows and columns, a number in each cell, a cell cursor.
// `explain(i, j)` puts a cell into words, `press(i, j)` hears clicks, Enter and Space.
const matrix = (w, { id, title, note = "", explain, press, onPick }) => {
  const node = svg("svg", { class: "aw-matrix", tabindex: 0, role: press ? "application" : "group", "data-export": "" });
  node.setAttribute("aria-roledescription", "matrix");
  const caption = element("figcaption", {}, ...lowered(title));
  const small = element("div", { className: "aw-under", textContent: note });
  const figure = element("figure", { className: `aw-panel aw-panel-${id}` }, caption, node, small);
  let [rows, columns, wide, left, top, cells, cell] = [0, 0, 0, 0, 0, [], [0, 0]];
  const high = 27;
  let [rowNames, columnNames, outline, ring] = [[], [], null, null];

  const build = (r, c, size, before, above) => {
    [rows, columns, wide, left, top] = [r, c, size, before, above];
    const [width, height] = [left + columns * wide + 2, top + rows * high + 2];
    setAll(node, { viewBox: `0 0 ${width} ${height}`, width, height });
    const name = (x, y, anchor) => svg("text", { x, y, "text-anchor": anchor, class: "aw-name" });
    rowNames = Array.from({ length: rows }, (_, i) => name(left - 5, top + (i + 0.5) * high + 4, "end"));
    columnNames = Array.from({ length: columns }, (_, j) => name(left + (j + 0.5) * wide, top - 5, "middle"));
    cells = Array.from({ length: rows * columns }, (_, at) => {
      const [x, y] = [left + (at % columns) * wide, top + Math.floor(at / columns) * high];
      const box = svg("rect", { x: x + 0.5, y: y + 0.5, width: wide - 1, height: high - 1, class: "aw-box" });
      const number = svg("text", { x: x + wide / 2, y: y + high / 2 + 4, "text-anchor": "middle", class: "aw-entry" });
      return { box, number, text: "", look: "" };
    });
    outline = svg("rect", { class: "aw-outline", rx: 2, visibility: "hidden" });
    ring = svg("rect", { class: "aw-cursor", width: wide, height: high, rx: 2 });
    node.replaceChildren(...rowNames, ...columnNames, ...cells.flatMap((c) => [c.box, c.number]), outline, ring);
    cell = [Math.min(cell[0], rows - 1), Math.min(cell[1], columns - 1)];
  };
  const place = () => {
    setAll(ring, { x: left + cell[1] * wide, y: top + cell[0] * high });
    const words = explain(...cell);
    node.setAttribute("aria-label", `${caption.textContent}. ${words}. Arrow keys move from cell to cell${press ? ", Space forbids or allows" : ""}.`);
    return words;
  };
  const pick = (i, j) => {
    cell = [clamp(i, 0, rows - 1), clamp(j, 0, columns - 1)];
    w.say(place());
    onPick(id, ...cell);
  };
  const cellAt = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(node.getScreenCTM().inverse());
    const [i, j] = [Math.floor((point.y - top) / high), Math.floor((point.x - left) / wide)];
    return i >= 0 && j >= 0 && i < rows && j < columns ? [i, j] : null;
  };
  node.addEventListener("pointermove", (event) => {
    const at = cellAt(event);
    if (at && (at[0] !== cell[0] || at[1] !== cell[1] || node.dataset.off)) pick(...at);
    delete node.dataset.off;
  });
  node.addEventListener("pointerleave", () => {
    node.dataset.off = "";
    if (document.activeElement !== node) onPick();
  });
  node.addEventListener("focus", () => onPick(id, ...cell));
  node.addEventListener("blur", () => onPick());
  node.addEventListener("click", (event) => {
    const at = cellAt(event);
    if (!at) return;
    pick(...at);
    press?.(...at);
  });
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return press ? press(...cell) : w.say(place());
    }
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move) return;
    event.preventDefault();
    pick(cell[0] + move[0], cell[1] + move[1]);
  });

  return {
    figure, caption, small,
    // `values` row by row; `colour(value)` gives [class, opacity]; `shut` marks forbidden cells.
    draw({ shape: [r, c], size, values, hidden = false, asked = -1, colour, rowsAre, columnsAre, shut }) {
      // room for the names: as much as they need
      const before = 9 + Math.ceil(6.2 * Math.max(...rowsAre.map((name) => [...name].length)));
      const above = columnsAre[0] || id === "output" ? 17 : 3; // the output lines up with the scores
      if (r !== rows || c !== columns || size !== wide || before !== left || above !== top) build(r, c, size, before, above);
      const named = (nodes, names) => nodes.forEach((text, i) => text.textContent !== names[i] && (text.textContent = names[i]));
      named(rowNames, rowsAre);
      named(columnNames, columnsAre);
      figure.classList.toggle("aw-covered", hidden);
      for (let at = 0; at < cells.length; at++) {
        const [kind, opacity] = hidden ? ["", 0] : colour(values[at]);
        const forbidden = !hidden && shut?.[at] === 0;
        const text = hidden ? "?" : forbidden && values[at] === 0 ? "0" : shortly(values[at]); // exactly 0
        const look = `aw-box ${kind}${forbidden ? " aw-shut" : ""}${at === asked ? " aw-asked" : ""}|${opacity.toFixed(3)}`;
        const one = cells[at];
        if (one.text !== text) one.number.textContent = one.text = text;
        if (one.look !== look) {
          one.box.setAttribute("class", look.split("|")[0]);
          one.box.style.setProperty("fill-opacity", look.split("|")[1]);
          one.number.setAttribute("class", `aw-entry${forbidden ? " aw-entry-shut" : ""}${kind === "aw-nan" ? " aw-entry-nan" : ""}`);
          one.look = look;
        }
      }
      place();
    },
    // Frames what a cell elsewhere is made of.
    frame(i, j, r = 1, c = 1) {
      if (!outline) return;
      setAll(outline, i === undefined || i >= rows || j >= columns ? { visibility: "hidden" } : {
        visibility: "visible", x: left + j * wide + 1, y: top + i * high + 1, width: Math.min(c, columns) * wide - 2, height: Math.min(r, rows) * high - 2,
      });
    },
  };
};

// A matrix of number fields: type, use the arrow keys, or drag a number sideways.
const editable = (w, { name, title, rowLabel }) => {
  const body = element("div", { className: "aw-fields" });
  const figure = element("figure", { className: "aw-panel" }, element("figcaption", {}, ...lowered(title)), body);
  let fields = [];
  const { min, max } = w.spec(name);
  const put = (at, value) => {
    const numbers = [...w.get(name)];
    numbers[at] = clamp(Number(value.toFixed(2)), min, max);
    w.set(name, numbers);
  };
  const build = (count) => {
    fields = Array.from({ length: count }, (_, at) => {
      const input = element("input", { type: "number", min, max, step: 0.1, inputMode: "decimal" });
      const shade = element("span", { className: "aw-shade" });
      shade.dataset.exportText = "";
      let held = null;
      input.addEventListener("input", () => {
        const value = Number(input.value);
        if (input.value !== "" && value >= min && value <= max) put(at, value);
        w.commitSoon();
      });
      input.addEventListener("change", () => {
        input.value = w.get(name)[at];
        w.commit();
      });
      input.addEventListener("pointerdown", (event) => (held = { id: event.pointerId, x: event.clientX, from: w.get(name)[at], moved: false }));
      input.addEventListener("pointermove", (event) => {
        if (held?.id !== event.pointerId || !(event.buttons & 1)) return;
        const way = event.clientX - held.x;
        if (!held.moved && Math.abs(way) < 4) return;
        if (!held.moved) input.setPointerCapture(event.pointerId);
        held.moved = true;
        put(at, held.from + Math.round(way / 4) / 10);
      });
      const release = () => {
        if (held?.moved) {
          w.say(`${input.ariaLabel}: ${input.value}`);
          w.commit();
        }
        held = null;
      };
      input.addEventListener("pointerup", release);
      input.addEventListener("pointercancel", release);
      return { input, shade, node: element("span", { className: "aw-number-cell" }, shade, input) };
    });
    const rows = Array.from({ length: count / 2 }, (_, i) =>
      element("div", { className: "aw-fields-row" }, setAll(element("span", { className: "aw-row-name" }), { "data-export-text": "" }), fields[2 * i].node, fields[2 * i + 1].node));
    body.replaceChildren(...rows);
  };
  return {
    figure,
    draw(values, count, names, top) {
      if (fields.length !== count) build(count);
      if (names) body.style.setProperty("--aw-names", `${Math.ceil(6.4 * Math.max(...names.map((text) => [...text].length))) + 8}px`);
      for (let at = 0; at < count; at++) {
        const { input, shade } = fields[at];
        const value = values[at];
        const row = at >> 1;
        if (!(at & 1)) input.parentNode.parentNode.firstChild.textContent = names ? names[row] : "";
        input.ariaLabel = `${title}, ${rowLabel(row)}, column ${(at & 1) + 1}`;
        // what is being typed ("-", "0.") stays as it is
        if (document.activeElement !== input || Number(input.value) !== value) input.value = value;
        shade.textContent = shortly(value);
        shade.className = `aw-shade ${value < 0 ? "aw-minus" : "aw-plus"}`;
        shade.style.setProperty("--aw-depth", ((0.6 * Math.abs(value)) / top).toFixed(3));
      }
    },
  };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const worked = model.get("_worked");
  let now = compute(w);
  let seenNaN = false;
  let predicted = false;

  // ---- controls
  const field1 = element("input", { type: "text", id: freshId(), className: "aw-words", maxLength: 200, spellcheck: false, autocomplete: "off" });
  w.show("words", (words) => {
    if (tokensOf(field1.value).join(" ") !== tokensOf(words).join(" ")) field1.value = words;
  });
  const useWords = (text) => {
    const tokens = tokensOf(text);
    if (!tokens.length) return w.say("At least one word, please.");
    if (tokens.length > MOST) w.say(`The first ${MOST} words are used.`);
    const kept = tokens.slice(0, MOST);
    const words = kept.join(" ");
    if (words === tokensOf(w.get("words")).join(" ")) return;
    w.set("words", words);
    const numbers = kept.flatMap((token) => vectorOf(token, worked));
    w.set("inputs", [...numbers, ...Array(2 * MOST - numbers.length).fill(0)]);
  };
  field1.addEventListener("input", () => {
    useWords(field1.value);
    w.commitSoon();
  });
  const start = Object.fromEntries(model.get("_defaults"));
  const example = button("Worked example", () => {
    for (const name of ["words", "inputs", "w_q", "w_k", "w_v"]) w.set(name, start[name]);
    w.commit();
  });
  const sentence = button("A sentence", () => {
    useWords("the cat saw the other cat");
    w.commit();
  });
  const valid = slider(w, "valid", { format: (v) => v.toFixed(0) });
  const reach = slider(w, "reach", { format: (v) => v.toFixed(0) });
  w.controls.append(field(w.spec("words").label, field1), example, sentence, toggle(w, "scaled"), select(w, "mask"), valid, reach);

  // ---- step by step: predict, then reveal
  const guess = element("input", { type: "number", step: 0.01, id: freshId(), inputMode: "decimal" });
  const ask = element("label", { htmlFor: guess.id });
  const next = button("Reveal", () => reveal());
  const hide = button("Step by step: hide the results", () => {
    w.set("shown", 1);
    w.say("Everything but the inputs is hidden.");
    w.commit();
    guess.focus({ preventScroll: true });
  });
  const showAll = button("Show all", () => {
    w.set("shown", STEPS.length);
    w.commit();
  });
  const asking = element("span", { className: "aw-asking" }, ask, guess, next, showAll);
  const stepper = element("div", { className: "aw-stepper" }, hide, asking);
  // The cell to be predicted in the next matrix: where a row can be chosen, the last one.
  const question = () => {
    const { n, shown } = now;
    const [i, j] = [n - 1, shown % n];
    const pair = `row ${i + 1}, column ${j + 1}`;
    return [
      null,
      { panel: "q", at: 2 * i + 1, name: `q${sub(i)}, second number`, values: now.q },
      { panel: "raw", at: i * n + j, name: `QKᵀ, ${pair}`, values: now.raw },
      { panel: "scores", at: i * n + j, name: `scaled, ${pair}`, values: now.scores },
      { panel: "masked", at: i * n + j, name: `masked, ${pair}`, values: now.masked },
      { panel: "weights", at: i * n + j, name: `weights, ${pair}`, values: now.weights },
      { panel: "output", at: 2 * i, name: `output b${sub(i)}, first number`, values: now.output },
    ][shown];
  };
  const reveal = () => {
    const asked = question();
    if (!asked) return;
    const value = asked.values[asked.at];
    const said = guess.value === "" ? null : Number(guess.value);
    const hit = said !== null && Math.abs(said - value) <= 0.05;
    if (hit) predicted = true;
    w.set("shown", now.shown + 1);
    const verdict = said === null ? "It is" : hit ? `You said ${shortly(said)}. Well predicted: it is` : `You said ${shortly(said)}. It is`;
    w.say(`${asked.name}: ${verdict} ${shortly(value)}.`);
    guess.value = "";
    w.commit();
  };
  guess.addEventListener("keydown", (event) => event.key === "Enter" && reveal());

  // ---- the panels
  const token = (i) => now.tokens[i];
  const who = (i) => (now.tokens[i] === `a${i + 1}` ? "" : ` (${now.tokens[i]})`);
  const product = (x, y) => `${shortly(x)}·${y < 0 ? `(${shortly(y)})` : shortly(y)}`;
  const covered = (step) => (now.shown < step ? "Still hidden: predict it" : null);
  const explainVector = (letter, values, m, step) => (i, c) =>
    covered(step) ?? `${letter}${sub(i)}, number ${c + 1}${who(i)}: ${product(now.a[2 * i], now[m][c])} + ${product(now.a[2 * i + 1], now[m][2 + c])} = ${shortly(now[values][2 * i + c])}`;
  const pairName = (i, j) => `query ${i + 1}${who(i)}, key ${j + 1}${who(j)}`;
  const explainRaw = (i, j) =>
    covered(3) ?? `${pairName(i, j)}: q${sub(i)} · k${sub(j)} = ${product(now.q[2 * i], now.k[2 * j])} + ${product(now.q[2 * i + 1], now.k[2 * j + 1])} = ${shortly(now.raw[i * now.n + j])}`;
  const explainScaled = (i, j) =>
    covered(4) ?? `${pairName(i, j)}: ${now.scaled ? `${shortly(now.raw[i * now.n + j])} / √2 = ${shortly(now.scores[i * now.n + j])}` : `not scaled, ${shortly(now.raw[i * now.n + j])} as it was`}`;
  const explainMask = (i, j) => {
    const at = i * now.n + j;
    if (now.permitted[at]) return `${pairName(i, j)}: allowed${now.shown < 5 ? "" : `, the score stays ${shortly(now.scores[at])}`}`;
    return `${pairName(i, j)}: forbidden${now.way === "zero after softmax" ? ", but the score stays: its weight is set to 0 later" : `, the score becomes ${now.way === "-1e9" ? "−1e9" : "−∞"}`}`;
  };
  const explainWeight = (i, j) => {
    if (covered(6)) return covered(6);
    const at = i * now.n + j;
    const value = shortly(now.weights[at]);
    if (Number.isNaN(now.weights[at])) return `${pairName(i, j)}: no key is allowed in this row. −∞ minus −∞ is not a number, and neither is the whole row`;
    if (now.way === "zero after softmax" && !now.permitted[at]) return `${pairName(i, j)}: set to 0 after the softmax`;
    const row = Array.from(now.masked.subarray(i * now.n, i * now.n + now.n));
    if (row.every((s) => s === -Infinity)) return `${pairName(i, j)}: no key is allowed in this row, and the package gives 0`;
    const power = (s) => (s === -Infinity ? "0" : `e^${shortly(s)}`);
    const total = row.reduce((top, s) => top + Math.exp(s), 0);
    const sum = now.n <= 3 ? row.map(power).join(" + ") : `the row’s exponentials${Number.isFinite(total) ? `, ${shortly(total)} in all` : ""}`;
    return `${pairName(i, j)}: ${power(row[j])} / (${sum}) = ${value}`;
  };
  const explainOutput = (i, c) => {
    if (covered(7)) return covered(7);
    const parts = Array.from({ length: now.n }, (_, j) => product(now.weights[i * now.n + j], now.v[2 * j + c]));
    return `b${sub(i)}, number ${c + 1}${who(i)}: ${now.n <= 4 ? parts.join(" + ") : `weights of row ${i + 1} times column ${c + 1} of V`} = ${shortly(now.output[2 * i + c])}`;
  };
  const explainSum = (i, c) =>
    covered(6) ?? (c ? `Row ${i + 1}: ${shortly(now.leaked[i])} of the mass goes to forbidden keys` : `Row ${i + 1}: the weights sum to ${shortly(now.sums[i])}`);

  const flip = (i, j) => {
    const cells = [...w.get("cells")];
    for (let r = 0; r < now.n; r++) for (let c = 0; c < now.n; c++) cells[MOST * r + c] = now.permitted[r * now.n + c];
    cells[MOST * i + j] = 1 - cells[MOST * i + j];
    w.set("cells", cells);
    w.set("mask", "my own");
    now = compute(w);
    w.say(explainMask(i, j));
    w.commit();
  };
  // Under the pointer or cursor: which rows of Q, K and V and which cells a number is made of.
  const frames = (id, i, j) => {
    for (const panel of Object.values(panels)) panel.frame();
    if (id === undefined) return;
    if (["raw", "scores", "masked", "weights"].includes(id)) {
      for (const other of ["raw", "scores", "masked", "weights"]) if (other !== id) panels[other].frame(i, j);
      panels.q.frame(i, 0, 1, 2);
      panels.k.frame(j, 0, 1, 2);
      if (id === "weights") panels.v.frame(j, 0, 1, 2);
    } else if (id === "output") {
      panels.weights.frame(i, 0, 1, MOST);
      panels.v.frame(0, j, MOST, 1);
    } else if (id === "sums") panels.weights.frame(i, 0, 1, MOST);
  };
  const panel = (id, title, explain, extra = {}) => matrix(w, { id, title, explain, onPick: frames, ...extra });
  const panels = {
    q: panel("q", "Q = a W_q", explainVector("q", "q", "wq", 2)),
    k: panel("k", "K = a W_k", explainVector("k", "k", "wk", 2)),
    v: panel("v", "V = a W_v", explainVector("v", "v", "wv", 2)),
    raw: panel("raw", "Q Kᵀ", explainRaw, { note: "scores" }),
    scores: panel("scores", "÷ √2", explainScaled, { note: "scaled" }),
    masked: panel("masked", "mask", explainMask, { press: flip, note: "click: forbid or allow" }),
    weights: panel("weights", "softmax", explainWeight, { note: "weights" }),
    output: panel("output", "× V", explainOutput, { note: "output" }),
    sums: panel("sums", "of each row", explainSum),
  };
  const edits = {
    a: editable(w, { name: "inputs", title: "a", rowLabel: (i) => `token ${i + 1} ${token(i)}` }),
    wq: editable(w, { name: "w_q", title: "W_q", rowLabel: (i) => `row ${i + 1}` }),
    wk: editable(w, { name: "w_k", title: "W_k", rowLabel: (i) => `row ${i + 1}` }),
    wv: editable(w, { name: "w_v", title: "W_v", rowLabel: (i) => `row ${i + 1}` }),
  };

  // ---- three ways of masking side by side, and the package's
  const choice = freshId();
  const lines = WAYS.map(([name, words]) => {
    const input = element("input", { type: "radio", name: choice, id: freshId(), value: name });
    input.addEventListener("change", () => {
      w.set("way", name);
      w.commit();
    });
    const figures = [0, 1, 2].map(() => element("td"));
    const head = element("th", { scope: "row" }, input, element("label", { htmlFor: input.id, textContent: words }));
    return { name, input, figures, node: element("tr", {}, head, ...figures) };
  });
  w.show("way", (way) => lines.forEach(({ name, input }) => (input.checked = name === way)));
  const table = element("table", { className: "aw-ways" },
    element("thead", {}, element("tr", {}, ...["forbidden cells become", "row sums", "largest leak", "NaN rows"].map((textContent) => element("th", { scope: "col", textContent })))),
    element("tbody", {}, ...lines.map((line) => line.node)));
  for (const node of table.querySelectorAll("thead th, label, td")) node.dataset.exportText = "";
  const verdict = element("p", { className: "aw-verdict" });
  const key = element("p", { className: "aw-hint", textContent: "Orange is above zero, blue below, red a weight. Point at a cell, or reach it by arrow keys, and the line under the matrices tells how it came about. Numbers in frames can be typed, dragged sideways or changed by arrow keys. Vectors of words other than a1 and a2 come from a hash of their letters: they are as good as random and mean nothing." });
  const group = (title, ...nodes) => element("div", { className: "aw-line-of-panels", role: "group", ariaLabel: title }, ...nodes);
  w.stage.append(
    stepper,
    group("Inputs, to be edited", edits.a.figure, edits.wq.figure, edits.wk.figure, edits.wv.figure),
    group("Queries, keys and values", panels.q.figure, panels.k.figure, panels.v.figure),
    group("Scores, mask, weights and output", panels.raw.figure, panels.scores.figure, panels.masked.figure, panels.weights.figure, panels.output.figure, panels.sums.figure),
    w.box.querySelector(".aw-status"), // how the number under the pointer came about: next to the numbers
    table, verdict, key,
  );

  w.goals([
    { text: "Make token 2 attend to itself only (weight at least 0.99) and to nothing forbidden.", reached: () => now.n > 1 && now.shown >= 6 && now.weights[now.n + 1] >= 0.99 && now.leaked[1] < 0.001 },
    { text: "Leak at least 1 % of a row’s mass through a mask.", reached: () => now.leaked.some((mass) => mass >= 0.01) },
    { text: "Make a row NaN, then mend it without touching the mask.", reached: () => {
      const deadRow = Array.from({ length: now.n }, (_, i) => i).some((i) => now.permitted.subarray(i * now.n, i * now.n + now.n).every((open) => !open));
      if (now.dead) seenNaN = true;
      if (!deadRow) seenNaN = false;
      return seenNaN && !now.dead && now.way === "package";
    } },
    { text: "Hide the results and predict a number to within 0.05.", reached: () => predicted },
  ]);

  const draw = () => {
    now = compute(w);
    const { n, shown, tokens } = now;
    const most = (...lists) => Math.max(1e-9, ...lists.map((list) => list.reduce((top, v) => Math.max(top, Math.abs(v)), 0)));
    const used = now.a.slice(0, 2 * n);
    const scale = most(used, now.wq, now.wk, now.wv);
    const signed = (top) => (v) => (Number.isNaN(v) ? ["aw-nan", 1] : !Number.isFinite(v) || v === -1e9 ? ["", 0] : [v < 0 ? "aw-minus" : "aw-plus", (0.6 * Math.abs(v)) / top]);
    const share = (v) => (Number.isNaN(v) ? ["aw-nan", 1] : ["aw-mass", 0.62 * v]);
    const plain = (v) => (Number.isNaN(v) ? ["aw-nan", 1] : ["", 0]);
    const size = n <= 4 ? 46 : n <= 6 ? 43 : 38;
    const names = tokens.map((t) => clipped(t));
    const numbered = (letter) => tokens.map((_, i) => `${letter}${sub(i)}`);
    const asked = question();
    const cell = (id) => (asked?.panel === id ? asked.at : -1);

    edits.a.draw(now.a, 2 * n, names, scale);
    edits.wq.draw(now.wq, 4, null, scale);
    edits.wk.draw(now.wk, 4, null, scale);
    edits.wv.draw(now.wv, 4, null, scale);
    const vectors = signed(most(now.q, now.k, now.v));
    for (const id of ["q", "k", "v"])
      panels[id].draw({ shape: [n, 2], size: 46, values: now[id], hidden: shown < 2, asked: cell(id), colour: vectors, rowsAre: numbered(id), columnsAre: ["", ""] });
    const scores = signed(most(now.raw));
    const square = { shape: [n, n], size, rowsAre: names, columnsAre: n > 4 ? tokens.map((t) => clipped(t, 5)) : names };
    panels.raw.draw({ ...square, values: now.raw, hidden: shown < 3, asked: cell("raw"), colour: scores });
    panels.scores.draw({ ...square, values: now.scores, hidden: shown < 4, asked: cell("scores"), colour: scores });
    panels.masked.draw({ ...square, values: now.masked, hidden: shown < 5, asked: cell("masked"), colour: scores, shut: now.permitted });
    panels.weights.draw({ ...square, values: now.weights, hidden: shown < 6, asked: cell("weights"), colour: share, shut: now.permitted });
    const both = Float64Array.from({ length: 2 * n }, (_, at) => (at & 1 ? now.leaked : now.sums)[at >> 1]);
    panels.sums.draw({ shape: [n, 2], size: 46, values: both, hidden: shown < 6, colour: plain, rowsAre: names, columnsAre: ["sum", "leak"] });
    panels.output.draw({ shape: [n, 2], size: 46, values: now.output, hidden: shown < 7, asked: cell("output"), colour: vectors, rowsAre: numbered("b"), columnsAre: ["", ""] });
    panels.scores.caption.textContent = now.scaled ? "÷ √2" : "÷ 1";
    panels.scores.small.textContent = now.scaled ? "scaled" : "not scaled";
    panels.masked.small.textContent = now.way === "zero after softmax" ? "click; used after softmax" : "click: forbid or allow";

    lines.forEach(({ figures, node, name }, i) => {
      const { sums, leaked, dead } = now.all[i];
      const finite = Array.from(sums).filter((s) => !Number.isNaN(s));
      const [low, high] = [Math.min(...finite), Math.max(...finite)].map(shortly);
      const texts = shown < 6 ? ["?", "?", "?"] : [
        finite.length ? (low === high ? low : `${low} to ${high}`) : "none",
        finite.length ? shortly(Array.from(leaked).reduce((top, mass) => (mass > top ? mass : top), 0)) : "none", String(dead)];
      figures.forEach((td, c) => (td.textContent = texts[c]));
      node.classList.toggle("aw-chosen", name === now.way);
      figures[2].classList.toggle("aw-alarm", shown >= 6 && dead > 0);
    });
    const without = Array.from({ length: n }, (_, i) => i).filter((i) => now.permitted.subarray(i * n, i * n + n).every((open) => !open));
    const rows = without.map((i) => i + 1).join(", ");
    const closed = now.permitted.some((open) => !open);
    verdict.textContent = shown < 6 ? "" : without.length ? {
      "-inf": `Row ${rows}: no key is allowed, and −∞ − (−∞) is not a number. NaN spreads into the output and, in training, into every parameter. The package returns 0 for such a row.`,
      "-1e9": `Row ${rows}: no key is allowed. All scores are the same −1e9, so all forbidden keys get equal weights: an average of exactly what should not be seen. The package returns 0.`,
      "zero after softmax": `Row ${rows}: no key is allowed, and all weights are 0. The other masked rows do not sum to 1.`,
      package: `Row ${rows}: no key is allowed. The package returns weights of 0 and an output of 0.`,
    }[now.way] : now.way === "zero after softmax" && closed ? "Rows with a forbidden key do not sum to 1, and what is missing depends on the scores of the forbidden keys: they are still felt." : "";

    hide.hidden = shown < STEPS.length;
    asking.hidden = shown >= STEPS.length;
    if (asked) ask.textContent = `Next: ${STEPS[shown]}. Predict ${asked.name}:`;
    valid.hidden = w.get("mask") !== "padding";
    reach.hidden = w.get("mask") !== "window";
  };
  w.say("Point at any number: this line tells how it came about.");
  w.begin(draw, () => ({ scores: now.scores, weights: now.weights, output: now.output, row_sums: now.sums, leaked: now.leaked }));
}

export default { render: onceShown(render) };
