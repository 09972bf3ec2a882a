// The mask studio: softmax(QKᵀ/√d + mask) V, one small matrix after another, every entry open.
import { button, field, select, slider, toggle } from "../widgets/kit/controls.js";
import { element, freshId } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { attendInSteps, resultsOf } from "./compute.js";
import { embed, MOST, tokensOf } from "./embedding.js";
import { drawFields, openFields } from "./fields.js";
import { drawMatrix, frameCells, openMatrix, unframe } from "./matrix.js";
import { drawStepper, openStepper, questionOf } from "./stepper.js";
import { drawWays, openWays } from "./ways.js";
import { clipped, EXPLAIN, emptyRows, explainMask, STEP, sub } from "./words.js";

const WEIGHTS = ["w_q", "w_k", "w_v"];
const INPUTS = ["words", "inputs", ...WEIGHTS];
const STATE = [...INPUTS, "scaled", "mask", "valid", "reach", "cells", "way"];

const refresh = (view) => {
  const state = view.w.state(STATE);
  view.now = { ...attendInSteps(state), shown: Math.round(view.w.get("shown")) };
};

// ---- controls

const useWords = (w, text) => {
  const tokens = tokensOf(text);
  if (!tokens.length) return w.say("At least one word, please.");
  w.say(tokens.length > MOST ? `The first ${MOST} words are used.` : "");
  const kept = tokens.slice(0, MOST);
  const words = kept.join(" ");
  if (words === tokensOf(w.get("words")).join(" ")) return;
  w.set("words", words);
  w.set("inputs", embed(kept, w.get("_worked")));
};

const wordsField = (w) => {
  const input = element("input", { type: "text", id: freshId(), className: "aw-words" });
  Object.assign(input, { maxLength: 200, spellcheck: false, autocomplete: "off" });
  w.show("words", (words) => {
    if (tokensOf(input.value).join(" ") !== tokensOf(words).join(" ")) input.value = words;
  });
  input.addEventListener("input", () => {
    useWords(w, input.value);
    w.commitSoon();
  });
  return field(w.spec("words").label, input);
};

const openControls = (w) => {
  const start = Object.fromEntries(w.get("_defaults"));
  const example = button("Worked example", () => {
    for (const name of INPUTS) w.set(name, start[name]);
    w.commit();
  });
  const sentence = button("A sentence", () => {
    useWords(w, "the cat saw the other cat");
    w.commit();
  });
  const whole = { format: (v) => v.toFixed(0) };
  const [valid, reach] = [slider(w, "valid", whole), slider(w, "reach", whole)];
  const [scaled, mask] = [toggle(w, "scaled"), select(w, "mask")];
  w.controls.append(wordsField(w), example, sentence, scaled, mask, valid, reach);
  return { valid, reach };
};

// ---- the panels

// A click on a cell of the mask makes the present mask the reader's own, with this cell turned.
const flip = (view, i, j) => {
  const { w, now } = view;
  const cells = [...w.get("cells")];
  for (let r = 0; r < now.n; r++)
    for (let c = 0; c < now.n; c++) cells[MOST * r + c] = now.permitted[r * now.n + c];
  cells[MOST * i + j] = 1 - cells[MOST * i + j];
  w.set("cells", cells);
  w.set("mask", "my own");
  refresh(view);
  w.say(explainMask(view.now, i, j));
  w.commit();
};

// Under the pointer or cursor: which rows of Q, K and V and which cells a number is made of.
const SQUARES = ["raw", "scores", "masked", "weights"];
const frameParts = ({ panels }, id, i, j) => {
  for (const panel of Object.values(panels)) unframe(panel);
  if (SQUARES.includes(id)) {
    for (const other of SQUARES) if (other !== id) frameCells(panels[other], i, j);
    frameCells(panels.q, i, 0, 1, 2);
    frameCells(panels.k, j, 0, 1, 2);
  }
  if (id === "weights") frameCells(panels.v, j, 0, 1, 2);
  if (id === "output" || id === "sums") frameCells(panels.weights, i, 0, 1, MOST);
  if (id === "output") frameCells(panels.v, 0, j, MOST, 1);
};

const openPanels = (view) => {
  const panel = (id, title, note, press) =>
    openMatrix(view.w, {
      id,
      title,
      note,
      press,
      explain: (i, j) => EXPLAIN[id](view.now, i, j),
      onPick: (...picked) => frameParts(view, ...picked),
    });
  return {
    q: panel("q", "Q = a W_q"),
    k: panel("k", "K = a W_k"),
    v: panel("v", "V = a W_v"),
    raw: panel("raw", "Q Kᵀ", "scores"),
    scores: panel("scores", "÷ √2", "scaled"),
    masked: panel("masked", "mask", "click: forbid or allow", (i, j) => flip(view, i, j)),
    weights: panel("weights", "softmax", "weights"),
    output: panel("output", "× V", "output"),
    sums: panel("sums", "of each row"),
  };
};

const openInputs = (view) => {
  const tokenLabel = (i) => `token ${i + 1} ${view.now.tokens[i]}`;
  const rowLabel = (i) => `row ${i + 1}`;
  return [
    openFields(view.w, { name: "inputs", title: "a", rowLabel: tokenLabel }),
    openFields(view.w, { name: "w_q", title: "W_q", rowLabel }),
    openFields(view.w, { name: "w_k", title: "W_k", rowLabel }),
    openFields(view.w, { name: "w_v", title: "W_v", rowLabel }),
  ];
};

// ---- drawing

const largest = (...lists) =>
  Math.max(1e-9, ...lists.map((list) => Math.max(...list.map((v) => Math.abs(v)))));

// Colours as [class, opacity].
const orNaN = (colour) => (v) => (Number.isNaN(v) ? ["aw-nan", 1] : colour(v));
const signedUpTo = (top) =>
  orNaN((v) => {
    if (!Number.isFinite(v) || v === -1e9) return ["", 0];
    return [v < 0 ? "aw-minus" : "aw-plus", (0.6 * Math.abs(v)) / top];
  });
const share = orNaN((v) => ["aw-mass", 0.62 * v]);
const plain = orNaN(() => ["", 0]);

const drawInputs = ({ inputs: [a, ...weights], now }) => {
  const scale = largest(now.a, now.wq, now.wk, now.wv);
  const names = now.tokens.map((token) => clipped(token));
  drawFields(a, now.a, names, scale);
  [now.wq, now.wk, now.wv].forEach((m, i) => {
    drawFields(weights[i], m, null, scale);
  });
};

// Matrices of n rows of two numbers: q, k, v and the output; then the sums of the rows.
const drawPairs = ({ panels, now }, asked) => {
  const { n, tokens, shown } = now;
  const colour = signedUpTo(largest(now.q, now.k, now.v));
  const pairs = { shape: [n, 2], size: 46 };
  const vectors = (id, letter, step) =>
    drawMatrix(panels[id], {
      ...pairs,
      values: now[id],
      hidden: shown < step,
      asked: asked(id),
      colour,
      rowsAre: tokens.map((_, i) => `${letter}${sub(i)}`),
      columnsAre: ["", ""],
    });
  for (const id of ["q", "k", "v"]) vectors(id, id, STEP.vectors);
  vectors("output", "b", STEP.output);
  drawMatrix(panels.sums, {
    ...pairs,
    values: tokens.flatMap((_, i) => [now.sums[i], now.leaked[i]]),
    hidden: shown < STEP.weights,
    colour: plain,
    rowsAre: tokens.map((token) => clipped(token)),
    columnsAre: ["sum", "leak"],
  });
};

const drawSquares = ({ panels, now }, asked) => {
  const { n, tokens, shown } = now;
  const [colour, shut] = [signedUpTo(largest(now.raw)), now.permitted];
  const size = n <= 4 ? 46 : n <= 6 ? 43 : 38;
  const names = (most) => tokens.map((token) => clipped(token, most));
  const square = { shape: [n, n], size, rowsAre: names(6), columnsAre: names(n > 4 ? 5 : 6) };
  const draw = (id, drawing) =>
    drawMatrix(panels[id], {
      ...square,
      values: now[id],
      hidden: shown < STEP[id],
      asked: asked(id),
      ...drawing,
    });
  draw("raw", { colour });
  draw("scores", { colour });
  draw("masked", { colour, shut });
  draw("weights", { colour: share, shut });
  panels.scores.caption.textContent = now.scaled ? "÷ √2" : "÷ 1";
  panels.scores.small.textContent = now.scaled ? "scaled" : "not scaled";
  const late = now.way === "zero after softmax";
  panels.masked.small.textContent = late ? "click; used after softmax" : "click: forbid or allow";
};

const draw = (view) => {
  const { w, controls } = view;
  refresh(view);
  const question = questionOf(view.now);
  const asked = (id) => (question?.panel === id ? question.at : -1);
  drawInputs(view);
  drawPairs(view, asked);
  drawSquares(view, asked);
  drawWays(view);
  drawStepper(view);
  controls.valid.hidden = w.get("mask") !== "padding";
  controls.reach.hidden = w.get("mask") !== "window";
};

// ---- goals and the whole

const mended = (view) => {
  const { now } = view;
  if (now.dead) view.seenNaN = true;
  if (!emptyRows(now).length) view.seenNaN = false;
  return view.seenNaN && !now.dead && now.way === "package";
};
const prefersItself = ({ n, shown, weights, permitted }) =>
  n > 1 && shown >= STEP.weights && weights[n + 1] >= 0.99 && !permitted.includes(0);
const goalsOf = (view) => [
  {
    text: "Make token 2 attend to itself (weight at least 0.99) without forbidding any key.",
    reached: () => prefersItself(view.now),
  },
  {
    text: "Leak at least 1 % of a row’s mass through a mask.",
    reached: () => view.now.leaked.some((mass) => mass >= 0.01),
  },
  {
    text: "Make a row NaN, then mend it without touching the mask.",
    reached: () => mended(view),
  },
  {
    text: "Hide the results and predict a number to within 0.05.",
    reached: () => view.predicted,
  },
];

const HINT =
  "Orange is above zero, blue below, red a weight. Point at a cell, or reach it by arrow keys, " +
  "and the line under the matrices tells how it came about. Numbers in frames can be typed, " +
  "dragged sideways or changed by arrow keys. Vectors of words other than a1 and a2 come from a " +
  "hash of their letters: they are as good as random and mean nothing.";

const arrange = ({ w, stepper, inputs, panels, ways }) => {
  const group = (title, parts) => {
    const figures = parts.map((part) => part.figure);
    const properties = { className: "aw-line-of-panels", role: "group", ariaLabel: title };
    return element("div", properties, ...figures);
  };
  const { q, k, v, ...rest } = panels;
  w.stage.append(
    stepper.node,
    group("Inputs, to be edited", inputs),
    group("Queries, keys and values", [q, k, v]),
    group("Scores, mask, weights and output", Object.values(rest)),
    w.box.querySelector(".aw-status"), // how the number under the pointer came about: beside it
    ways.node,
    ways.verdict,
    element("p", { className: "aw-hint", textContent: HINT }),
  );
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const view = { w, now: null, predicted: false, seenNaN: false };
  refresh(view);
  view.controls = openControls(w);
  view.stepper = openStepper(view);
  view.panels = openPanels(view);
  view.inputs = openInputs(view);
  view.ways = openWays(w);
  arrange(view);
  w.goals(goalsOf(view), () => Object.assign(view, { predicted: false, seenNaN: false }));
  w.say("Point at any number: this line tells how it came about.");
  w.begin(
    () => draw(view),
    () => resultsOf(view.now),
  );
}

export default { render: onceShown(render) };
