// Five words as cards, to be shuffled; each carries the output of its word as eight coloured cells.
import { button, toggle } from "../widgets/kit/controls.js";
import { clamp, element, fixed } from "../widgets/kit/dom.js";
import { onThemeChange, signedRamp } from "../widgets/kit/theme.js";

// `layer()` gives what attendWords computes from the present controls.
export const wordPanel = (w, names, layer) => {
  const panel = {
    w,
    names,
    layer,
    list: element("ol", { className: "aw-words" }),
    report: element("p", { className: "aw-report" }),
    still: matchMedia("(prefers-reduced-motion: reduce)"),
    ramp: signedRamp(w.box),
    drawn: null,
  };
  panel.cards = names.map((_, word) => cardOfWord(panel, word));
  onThemeChange(() => {
    panel.ramp = signedRamp(w.box);
    if (panel.drawn) paintStrips(panel, panel.drawn);
  }, w.signal);
  const title = "Shuffle the words: does each output stay with its word?";
  const shuffle = () => putInOrder(panel, shuffledFrom(w.get("order")));
  const sort = () => putInOrder(panel, w.get("order").toSorted());
  const buttons = [button("Shuffle", shuffle), button("Back in order", sort)];
  const node = element(
    "section",
    { className: "aw-layer" },
    element("p", { className: "aw-layer-title", textContent: title }),
    element("div", { className: "aw-layer-controls" }, toggle(w, "positions_on"), ...buttons),
    panel.list,
    panel.report,
  );
  return { node, draw: () => drawWords(panel) };
};

const cardOfWord = (panel, word) => {
  const name = panel.names[word];
  const strip = element("canvas", { width: 8, height: 1, className: "aw-strip" });
  strip.dataset.export = "";
  const label = element("span", { className: "aw-word", textContent: name });
  label.dataset.exportText = "";
  const change = element("span", { className: "aw-change" });
  const arrow = (sign, by, where) =>
    button(sign, () => moveWord(panel, word, by), { ariaLabel: `move ${name} to the ${where}` });
  const arrows = [arrow("←", -1, "left"), arrow("→", 1, "right")];
  const row = element("span", { className: "aw-arrows" }, ...arrows);
  return { strip, change, node: element("li", {}, label, strip, change, row) };
};

// ---- moving

const moveWord = (panel, word, by) => {
  const order = [...panel.w.get("order")];
  const from = order.indexOf(word);
  const to = from + by;
  if (to < 0 || to >= order.length) return;
  [order[from], order[to]] = [order[to], order[from]];
  putInOrder(panel, order);
};

const shuffledFrom = (order) => {
  const result = [...order];
  while (result.join() === order.join())
    for (let i = result.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [result[i], result[j]] = [result[j], result[i]];
    }
  return result;
};

const putInOrder = (panel, order) => {
  const { w, names, list, cards } = panel;
  const leftOf = ({ node }) => node.getBoundingClientRect().left;
  const before = cards.map(leftOf);
  const focused = document.activeElement;
  w.set("order", order);
  arrangeCards(panel, order);
  if (list.contains(focused)) focused.focus();
  if (!panel.still.matches)
    cards.forEach((card, k) => {
      slide(card.node, before[k] - leftOf(card));
    });
  w.commit();
  requestAnimationFrame(() => {
    const most = fixed(Math.max(...panel.layer().changes), 3);
    w.say(`${order.map((word) => names[word]).join(" ")}: outputs changed by up to ${most}`);
  });
};

const slide = (node, by) => {
  if (!by) return;
  const way = [{ transform: `translateX(${by}px)` }, { transform: "none" }];
  node.animate(way, { duration: 320, easing: "ease-in-out" });
};

const arrangeCards = ({ list, cards }, order) => {
  const wanted = order.map((word) => cards[word].node);
  if (wanted.some((node, i) => list.children[i] !== node)) list.append(...wanted);
};

// ---- drawing

const drawWords = (panel) => {
  const now = panel.layer();
  if (now === panel.drawn) return;
  panel.drawn = now;
  arrangeCards(panel, now.order);
  paintStrips(panel, now);
  panel.cards.forEach(({ change, node }, word) => {
    change.textContent = `changed by ${fixed(now.changes[word], 3)}`;
    node.classList.toggle("aw-changed", now.changes[word] > 1e-6);
  });
  panel.report.textContent = reportOf(now);
};

const paintStrips = ({ cards, ramp }, { order, outputs, size }) => {
  order.forEach((word, i) => {
    const context = cards[word].strip.getContext("2d");
    const image = context.createImageData(size, 1);
    const pixels = new Uint32Array(image.data.buffer);
    for (let c = 0; c < size; c++)
      pixels[c] = ramp[clamp((outputs[i * size + c] + 2) * 63.75, 0, 255) | 0];
    context.putImageData(image, 0, 0);
  });
};

const reportOf = ({ order, changes }) => {
  const most = Math.max(...changes);
  if (order.every((word, i) => word === i))
    return (
      "The words stand in order. " +
      "Eight cells under each: its output, blue below 0, warm colours above."
    );
  if (most < 1e-6)
    return (
      "Every output moved along with its word, unchanged: " +
      "the layer cannot tell the two sentences apart."
    );
  const changed = `The outputs have changed, by up to ${fixed(most)}`;
  return `${changed}: the layer can tell the two sentences apart.`;
};
