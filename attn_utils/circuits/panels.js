// The text with what was predicted for each of its letters, and a layer: one head large, all small.
import { button } from "../widgets/kit/controls.js";
import { element, fixed, freshId } from "../widgets/kit/dom.js";
import { heatmap } from "../widgets/kit/heatmap.js";
import { bestOf, HEADS, LENGTH, textOf } from "./compute.js";

const SIGNS = "abcdefghijklmnopqrstuvwxyz234567"; // the model's tokens

// ---- the text

export const textPanel = () => {
  const cells = Array.from({ length: LENGTH }, () => {
    const [letter, predicted] = [element("b"), element("span")];
    for (const node of [letter, predicted]) node.dataset.exportText = "";
    return { letter, predicted, node: element("li", {}, letter, predicted) };
  });
  const summary = element("p", { className: "aw-hint" });
  summary.dataset.exportText = "";
  const list = element("ol", { className: "aw-text" }, ...cells.map(({ node }) => node));
  list.setAttribute("aria-label", "the text, and what the model predicted for each position");
  return {
    node: element("div", { className: "aw-text-panel" }, list, summary),
    // `cursor` is the query and the key under the pointer, or nothing.
    draw({ pattern, results, cursor }) {
      const best = bestOf(results.probabilities);
      [...textOf(pattern)].forEach((letter, t) => {
        drawLetter(cells[t], letter, SIGNS[best[t - 1]] ?? "", t <= pattern.length);
        cells[t].node.classList.toggle("aw-query", t === cursor?.[0]);
        cells[t].node.classList.toggle("aw-key", t === cursor?.[1]);
      });
      const count = LENGTH - pattern.length - 1;
      summary.textContent =
        "Above the text, below it what the model predicted for each position. " +
        `Right: ${Math.round(count * results.accuracy[0])} of the ${count} letters that follow a ` +
        "letter seen before.";
    },
  };
};

const drawLetter = ({ letter, predicted, node }, right, guess, isNew) => {
  letter.textContent = right;
  predicted.textContent = guess;
  const isRight = guess === right;
  node.classList.toggle("aw-right", isRight && !isNew);
  node.classList.toggle("aw-wrong", !isRight && !isNew);
  const words = isNew ? "not to be known" : isRight ? "right" : "wrong";
  node.setAttribute("aria-label", `${right}, predicted ${guess || "nothing"}, ${words}`);
};

// ---- a layer

// `layer` counts from 0, `control` is the trait that says which head is large.
export const layerPanel = (view, layer, control) => {
  const { w } = view;
  const letterAt = (t) => `${textOf(w.get("pattern"))[t]} at ${t}`;
  const map = heatmap(w, {
    rows: LENGTH,
    columns: LENGTH,
    label: `Layer ${layer + 1}`,
    width: 250,
    nameOf: (i, j, value) =>
      j > i
        ? `Query ${letterAt(i)}: key ${letterAt(j)} comes later and is hidden`
        : `Query ${letterAt(i)} looks at key ${letterAt(j)}: ${fixed(value)}`,
    onPick: (i, j) => view.point([i, j]),
  });
  const cells = Array.from({ length: HEADS }, (_, h) => headCell(w, layer, h, control));
  const row = element("div", { className: "aw-heads" }, ...cells.map(({ node }) => node));
  const caption = map.node.querySelector("figcaption");
  return {
    node: element("section", { className: "aw-layer" }, map.node, row),
    draw({ results, heads, look }) {
      const chosen = w.get(control) - 1;
      const size = LENGTH ** 2;
      cells.forEach((cell, h) => {
        const from = (layer * HEADS + h) * size;
        const weights = results.weights.subarray(from, from + size);
        if (h === chosen) map.draw(weights);
        drawCell(cell, weights, heads[layer * HEADS + h], h === chosen, look);
      });
      const state = heads[layer * HEADS + chosen] ? "" : " (off: it adds nothing)";
      caption.textContent = `Layer ${layer + 1}, head ${chosen + 1}${state}`;
    },
  };
};

const headCell = (w, layer, h, control) => {
  const picture = element("canvas", { width: LENGTH, height: LENGTH });
  const show = button("", () => {
    w.set(control, h + 1);
    w.commit();
  });
  show.append(picture, element("span", { textContent: `head ${h + 1}` }));
  show.ariaLabel = `show head ${h + 1} of layer ${layer + 1}`;
  const input = element("input", { type: "checkbox", id: freshId() });
  input.ariaLabel = `head ${h + 1} of layer ${layer + 1} is on`;
  input.addEventListener("change", () => {
    w.set(
      "heads",
      w.get("heads").map((on, i) => (i === layer * HEADS + h ? Number(input.checked) : on)),
    );
    w.commit();
  });
  const label = element("label", { htmlFor: input.id }, input, "on");
  return { picture, show, input, node: element("div", { className: "aw-head" }, show, label) };
};

const drawCell = ({ picture, show, input, node }, weights, isOn, isChosen, look) => {
  const image = new ImageData(LENGTH, LENGTH);
  const pixels = new Uint32Array(image.data.buffer);
  for (let k = 0; k < pixels.length; k++) pixels[k] = look[(255 * weights[k]) | 0];
  picture.getContext("2d").putImageData(image, 0, 0);
  show.ariaPressed = String(isChosen);
  input.checked = Boolean(isOn);
  node.classList.toggle("aw-off", !isOn);
};
