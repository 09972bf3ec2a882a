// The text, word by word: what the asking word attends to, and how well each word was predicted.
import { element } from "../widgets/kit/dom.js";

const cellOf = (choose, i) => {
  const name = element("span", { className: "aw-name" });
  const bar = element("span", { className: "aw-bar" });
  const node = element("span", { className: "aw-word" }, name, bar);
  node.addEventListener("click", () => choose(i));
  return { node, name, bar };
};

// `choose(i)` hears the word that is clicked; keys use the slider beside it.
export const textStrip = (count, choose) => {
  const cells = Array.from({ length: count }, (_, i) => cellOf(choose, i));
  const node = element("div", { className: "aw-strip", role: "img" });
  node.dataset.exportText = "";
  for (let i = 0; i < count; i++) {
    // a guest and the drink stay on one line
    if (i % 2 || !i) node.append(element("span", { className: "aw-order" }));
    node.lastChild.append(cells[i].node);
  }
  return { node, draw: (state) => drawStrip(node, cells, state) };
};

const drawStrip = (node, cells, { words, known, loss, row, allowed, query, told }) => {
  cells.forEach((cell, i) => {
    const probability = i ? Math.exp(-loss[i - 1]) : 0; // nobody predicts the first word
    const isKnown = known.has(i - 1);
    const classes = {
      "aw-asking": i === query,
      "aw-asked": i === query + 1,
      "aw-unseen": i <= query && !allowed[i],
      "aw-known": isKnown,
      "aw-missed": isKnown && probability < 0.5,
    };
    const own = Object.keys(classes).filter((name) => classes[name]);
    cell.node.className = ["aw-word", ...own].join(" ");
    cell.node.style.setProperty("--aw-weight", i <= query ? row[i] : 0);
    cell.bar.style.width = `${100 * probability}%`;
    if (cell.name.textContent !== words[i]) cell.name.textContent = words[i];
  });
  node.ariaLabel = told;
};
