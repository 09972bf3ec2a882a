// What the mask studio says: numbers as text, and how each of them came about.

// What is revealed step by step; a control counts how many of these are.
export const STEPS = [
  "the inputs",
  "Q, K and V",
  "the scores QKᵀ",
  "the scaled scores",
  "the masked scores",
  "the weights",
  "the output",
];
export const STEP = { vectors: 2, raw: 3, scores: 4, masked: 5, weights: 6, output: 7 };

export const WAY_LABELS = {
  "-inf": "−∞ before the softmax",
  "-1e9": "−1e9 before the softmax",
  "zero after softmax": "0 after the softmax",
  package: "−∞, empty rows 0 (the package)",
};

export const shortly = (v) => {
  if (Number.isNaN(v)) return "NaN";
  if (!Number.isFinite(v)) return v < 0 ? "−∞" : "∞";
  if (v === -1e9) return "−1e9";
  const size = Math.abs(v);
  const text = v.toFixed(size >= 999.5 ? 0 : size >= 99.5 ? 1 : 2);
  return text.replace("-", "−").replace(/^−(0\.?0*)$/, "$1");
};
export const clipped = (token, most = 6) => {
  const letters = [...token];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : token;
};
export const sub = (i) => "₀₁₂₃₄₅₆₇₈₉"[i + 1];

// ---- how a cell came about, by panel

const product = (x, y) => `${shortly(x)}·${y < 0 ? `(${shortly(y)})` : shortly(y)}`;
const who = ({ tokens }, i) => (tokens[i] === `a${i + 1}` ? "" : ` (${tokens[i]})`);
const pairName = (now, i, j) => `query ${i + 1}${who(now, i)}, key ${j + 1}${who(now, j)}`;

const explainVector = (letter) => (now, i, c) => {
  const m = now[`w${letter}`];
  const sum = `${product(now.a[2 * i], m[c])} + ${product(now.a[2 * i + 1], m[2 + c])}`;
  const value = shortly(now[letter][2 * i + c]);
  return `${letter}${sub(i)}, number ${c + 1}${who(now, i)}: ${sum} = ${value}`;
};
const explainRaw = (now, i, j) => {
  const { q, k } = now;
  const sum = `${product(q[2 * i], k[2 * j])} + ${product(q[2 * i + 1], k[2 * j + 1])}`;
  const value = shortly(now.raw[i * now.n + j]);
  return `${pairName(now, i, j)}: q${sub(i)} · k${sub(j)} = ${sum} = ${value}`;
};
const explainScaled = (now, i, j) => {
  const [raw, score] = [now.raw, now.scores].map((values) => shortly(values[i * now.n + j]));
  const words = now.scaled ? `${raw} / √2 = ${score}` : `not scaled, ${raw} as it was`;
  return `${pairName(now, i, j)}: ${words}`;
};
// Which keys a reader forbids is no result: it is said even while the scores are hidden.
export const explainMask = (now, i, j) => {
  const at = i * now.n + j;
  const stays = now.shown < STEP.masked ? "" : `, the score stays ${shortly(now.scores[at])}`;
  if (now.permitted[at]) return `${pairName(now, i, j)}: allowed${stays}`;
  const change =
    now.way === "zero after softmax"
      ? "but the score stays: its weight is set to 0 later"
      : `the score becomes ${now.way === "-1e9" ? "−1e9" : "−∞"}`;
  return `${pairName(now, i, j)}: forbidden, ${change}`;
};

const powerOf = (score) => (score === -Infinity ? "0" : `e^${shortly(score)}`);
const denominator = (row) => {
  if (row.length <= 3) return row.map(powerOf).join(" + ");
  const total = row.reduce((sum, score) => sum + Math.exp(score), 0);
  const inAll = Number.isFinite(total) ? `, ${shortly(total)} in all` : "";
  return `the row’s exponentials${inAll}`;
};
const NO_KEY = "no key is allowed in this row. −∞ minus −∞ is not a number, nor is the row";
const weightInWords = (now, i, j) => {
  const at = i * now.n + j;
  if (Number.isNaN(now.weights[at])) return NO_KEY;
  if (now.way === "zero after softmax" && !now.permitted[at]) return "set to 0 after the softmax";
  const row = Array.from(now.masked.subarray(i * now.n, i * now.n + now.n));
  if (row.every((score) => score === -Infinity))
    return "no key is allowed in this row, and the package gives 0";
  return `${powerOf(row[j])} / (${denominator(row)}) = ${shortly(now.weights[at])}`;
};
const explainWeight = (now, i, j) => `${pairName(now, i, j)}: ${weightInWords(now, i, j)}`;
const explainOutput = (now, i, c) => {
  const parts = now.tokens.map((_, j) => product(now.weights[i * now.n + j], now.v[2 * j + c]));
  const sum = now.n <= 4 ? parts.join(" + ") : `weights of row ${i + 1} times column ${c + 1} of V`;
  return `b${sub(i)}, number ${c + 1}${who(now, i)}: ${sum} = ${shortly(now.output[2 * i + c])}`;
};
const explainSum = (now, i, c) =>
  c
    ? `Row ${i + 1}: ${shortly(now.leaked[i])} of the mass goes to forbidden keys`
    : `Row ${i + 1}: the weights sum to ${shortly(now.sums[i])}`;

const onceRevealed = (step, explain) => (now, i, j) =>
  now.shown < step ? "Still hidden: predict it" : explain(now, i, j);
export const EXPLAIN = {
  q: onceRevealed(STEP.vectors, explainVector("q")),
  k: onceRevealed(STEP.vectors, explainVector("k")),
  v: onceRevealed(STEP.vectors, explainVector("v")),
  raw: onceRevealed(STEP.raw, explainRaw),
  scores: onceRevealed(STEP.scores, explainScaled),
  masked: explainMask,
  weights: onceRevealed(STEP.weights, explainWeight),
  output: onceRevealed(STEP.output, explainOutput),
  sums: onceRevealed(STEP.weights, explainSum),
};

// ---- what the chosen way does to the rows

// Rows without any permitted key, counted from 0.
export const emptyRows = ({ n, permitted, tokens }) =>
  tokens.map((_, i) => i).filter((i) => !permitted.subarray(i * n, i * n + n).includes(1));

const EMPTY_ROW = {
  "-inf":
    ", and −∞ − (−∞) is not a number. NaN spreads into the output and, in training, " +
    "into every parameter. The package returns 0 for such a row.",
  "-1e9":
    ". All scores are the same −1e9, so all forbidden keys get equal weights: an average of " +
    "exactly what should not be seen. The package returns 0.",
  "zero after softmax": ", and all weights are 0. The other masked rows do not sum to 1.",
  package: ". The package returns weights of 0 and an output of 0.",
};
const ZEROED =
  "Rows with a forbidden key do not sum to 1, and what is missing depends on the scores of the " +
  "forbidden keys: they are still felt.";

const rowsInWords = (rows) => {
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === last) return `Row ${first}`;
  const isRun = last - first === rows.length - 1;
  return `Rows ${isRun ? `${first}–${last}` : rows.join(", ")}`;
};

export const verdictOf = (now) => {
  if (now.shown < STEP.weights) return "";
  const rows = emptyRows(now).map((i) => i + 1);
  if (rows.length) return `${rowsInWords(rows)}: no key is allowed${EMPTY_ROW[now.way]}`;
  const closed = now.permitted.includes(0);
  return now.way === "zero after softmax" && closed ? ZEROED : "";
};
