import { element, fixed } from "../widgets/kit/dom.js";
import { spreadOf } from "./compute.js";

// A table of what the cut into patches costs, and of the row that is shown.
const LABELS = [
  ...["patches", "tokens", "numbers in a patch", "parameters of the patch embedding"],
  ...["numbers in the position embedding", "weights of one head, n²", "this row is spread over"],
];
const NOTES = {
  trained: "Weights of the trained model.",
  handMade: "Heads set by hand, nothing is learned: they compare mean colours and positions.",
};

const count = (n) => n.toLocaleString("en");

const textsOf = ({ attention, now: { row, counts }, token }) => {
  const { P, prefix, size, C, D, rows, columns } = attention;
  const [tokens, numbers, parameters, positions, weights] = counts.map(count);
  const before = prefix > 1 ? "two tokens" : "the class token";
  const onPrefix = P && token >= P ? `, ${fixed(row[0])} on the class token` : "";
  return [
    `${rows} × ${columns} = ${count(rows * columns)}`,
    `${tokens} (with ${before} before them)`,
    `${size} · ${size} · ${C} = ${numbers}`,
    `${numbers} · ${D} + ${D} = ${parameters}`,
    `${tokens} · ${D} = ${positions}`,
    `${tokens}² = ${weights}`,
    `${fixed(spreadOf(row), 1)} tokens; ${fixed(row[token])} on itself${onPrefix}`,
  ];
};

export const factsPanel = (view) => {
  const values = LABELS.map(() => element("td"));
  const lines = LABELS.map((textContent, k) =>
    element("tr", {}, element("th", { scope: "row", textContent }), values[k]),
  );
  const textContent = view.isTrained ? NOTES.trained : NOTES.handMade;
  return {
    node: element(
      "div",
      { className: "aw-facts" },
      element("table", {}, element("tbody", {}, ...lines)),
      element("p", { className: "aw-hint", textContent }),
    ),
    draw() {
      for (const [k, text] of textsOf(view).entries()) values[k].textContent = text;
    },
  };
};
