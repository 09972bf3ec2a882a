// Four ways of masking side by side: what each makes of the rows, and the choice between them.
import { element, freshId } from "../widgets/kit/dom.js";
import { WAYS } from "./compute.js";
import { STEP, shortly, verdictOf, WAY_LABELS } from "./words.js";

const HEADS = ["forbidden cells become", "row sums", "forbidden keys take", "NaN rows"];

const lineOf = (w, way, choice) => {
  const input = element("input", { type: "radio", name: choice, id: freshId(), value: way });
  input.addEventListener("change", () => {
    w.set("way", way);
    w.commit();
  });
  const label = element("label", { htmlFor: input.id, textContent: WAY_LABELS[way] });
  const figures = [0, 1, 2].map(() => element("td"));
  const head = element("th", { scope: "row" }, input, label);
  return { way, input, figures, node: element("tr", {}, head, ...figures) };
};

export const openWays = (w) => {
  const choice = freshId();
  const lines = WAYS.map((way) => lineOf(w, way, choice));
  w.show("way", (chosen) => {
    for (const { way, input } of lines) input.checked = way === chosen;
  });
  const heads = HEADS.map((textContent) => element("th", { scope: "col", textContent }));
  const node = element(
    "table",
    { className: "aw-ways" },
    element("thead", {}, element("tr", {}, ...heads)),
    element("tbody", {}, ...lines.map((line) => line.node)),
  );
  for (const text of node.querySelectorAll("thead th, label, td")) text.dataset.exportText = "";
  return { node, lines, verdict: element("p", { className: "aw-verdict" }) };
};

// Sums from the least to the largest, the largest leak, and how many rows are NaN.
const figuresOf = ({ sums, leaked, dead }) => {
  const finite = [...sums].filter((sum) => !Number.isNaN(sum));
  if (!finite.length) return ["none", "none", String(dead)];
  const [low, high] = [Math.min(...finite), Math.max(...finite)].map(shortly);
  const leak = leaked.reduce((top, mass) => (mass > top ? mass : top), 0); // passes NaN over
  return [low === high ? low : `${low} to ${high}`, shortly(leak), String(dead)];
};
export const drawWays = ({ now, ways }) => {
  const revealed = now.shown >= STEP.weights;
  ways.lines.forEach(({ way, figures, node }, i) => {
    const texts = revealed ? figuresOf(now.all[i]) : ["?", "?", "?"];
    figures.forEach((cell, c) => {
      cell.textContent = texts[c];
    });
    node.classList.toggle("aw-chosen", way === now.way);
    figures[2].classList.toggle("aw-alarm", revealed && now.all[i].dead > 0);
  });
  ways.verdict.textContent = verdictOf(now);
};
