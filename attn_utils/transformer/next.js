// What may come next: a bar for each of the likeliest letters; pressed, it writes its letter.
import { button } from "../widgets/kit/controls.js";
import { element, fixed } from "../widgets/kit/dom.js";
import { orderOf } from "./compute.js";
import { spokenLetter, visibleLetter } from "./letters.js";

const SHOWN = 12;

export const nextLetters = (view) => {
  const title = element("p", { className: "aw-lw-title" });
  const bars = Array.from({ length: SHOWN }, (_, rank) => barOf(view, rank));
  const rest = element("p", { className: "aw-lw-rest" });
  for (const text of [title, rest]) text.dataset.exportText = "";
  const list = element("ol", {}, ...bars.map((bar) => element("li", {}, bar.node)));
  return {
    node: element("div", { className: "aw-lw-next" }, title, list, rest),
    draw() {
      const { results, came } = view.now();
      title.textContent =
        came === undefined ? "The next letter" : `Predicted; ${visibleLetter(came)} came`;
      const order = results ? orderOf(results.logits) : [];
      for (const bar of bars) drawBar(view, bar, order[bar.rank]);
      rest.textContent = results ? restText(results.probabilities, order) : view.hint;
    },
  };
};

const restText = (probabilities, order) => {
  const others = order.slice(SHOWN).filter((token) => probabilities[token] > 0);
  const left = order.filter((token) => probabilities[token] > 0).length;
  const sum = others.reduce((total, token) => total + probabilities[token], 0);
  const all = `${left} of ${order.length} letters may be drawn`;
  return others.length ? `${others.length} others: ${fixed(sum)}. ${all}.` : `${all}.`;
};

const barOf = (view, rank) => {
  const name = element("b");
  const fill = element("span", { className: "aw-lw-fill" });
  const value = element("span", { className: "aw-value" });
  const bar = { rank, name, fill, value, letter: undefined };
  bar.node = button("", () => view.append(bar.letter), { className: "aw-lw-bar" });
  bar.node.append(name, element("span", { className: "aw-lw-track" }, fill), value);
  for (const text of [name, value]) text.dataset.exportText = "";
  return bar;
};

const drawBar = (view, bar, token) => {
  const { results, came } = view.now();
  bar.node.hidden = token === undefined;
  if (token === undefined) return;
  const probability = results.probabilities[token];
  bar.letter = view.letters[token];
  bar.name.textContent = visibleLetter(bar.letter);
  bar.fill.style.width = `${100 * probability}%`;
  bar.value.textContent = probability ? fixed(probability) : "cut";
  bar.node.classList.toggle("aw-lw-came", bar.letter === came);
  bar.node.classList.toggle("aw-lw-cut", !probability);
  bar.node.disabled = came !== undefined;
  const chance = probability ? `probability ${fixed(probability)}` : "cut";
  bar.node.ariaLabel = `write ${spokenLetter(bar.letter)}: ${chance}`;
};
