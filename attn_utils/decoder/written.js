// What both models write: a button for each character with attention, plain characters without;
// and the characters read, shaded by the attention of the chosen one.
import { button } from "../widgets/kit/controls.js";
import { element } from "../widgets/kit/dom.js";
import { STEPS } from "./compute.js";
import { spoken } from "./spoken.js";

export const writtenPanel = (view) => {
  const steps = Array.from({ length: STEPS }, (_, t) => t);
  const keys = steps.map((t) => keyOf(view, t, (to) => keys[to].focus()));
  const plain = steps.map(() => element("span"));
  for (const node of plain) node.dataset.exportText = "";
  const difference = element("span", { className: "aw-visually-hidden" });
  const line = element("div", { className: "aw-al-line-read", ariaHidden: "true" });
  const group = {
    role: "group",
    ariaLabel: "the date written with attention, character by character",
  };
  return {
    nodes: [
      readerRow("with attention", writtenRow(group, keys)),
      readerRow("one fixed vector", writtenRow({}, plain), difference),
      line,
    ],
    draw(shades) {
      const { answer, other } = view.now();
      keys.forEach((key, t) => {
        drawKey(key, t, answer[t], t === view.w.get("step"));
      });
      plain.forEach((node, t) => {
        node.textContent = other[t] ?? "";
        node.classList.toggle("aw-al-differs", other[t] !== answer[t]);
      });
      difference.textContent = other === answer ? "the same" : "not the same";
      line.replaceChildren(...shadedCharacters(view, shades));
    },
  };
};

const readerRow = (name, ...nodes) =>
  element("div", { className: "aw-al-reader" }, named(name), ...nodes);
const named = (textContent) => {
  const node = element("span", { textContent });
  node.dataset.exportText = "";
  return node;
};
const writtenRow = (properties, nodes) =>
  element("div", { className: "aw-al-written", ...properties }, ...nodes);

const keyOf = (view, t, focus) => {
  const key = button("", () => view.choose(t));
  key.dataset.exportText = "";
  key.addEventListener("pointerenter", (event) => {
    if (event.pointerType === "mouse") view.point(t);
  });
  key.addEventListener("pointerleave", () => view.point(null));
  key.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: t - 1, ArrowRight: t + 1, Home: 0, End: STEPS - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    focus(view.choose(to));
  });
  return key;
};

const drawKey = (key, t, character = "", isChosen = false) => {
  key.textContent = character;
  key.ariaPressed = String(isChosen);
  key.tabIndex = isChosen ? 0 : -1;
  key.ariaLabel = `character ${t + 1}: ${spoken(character || " ")}`;
};

const shadedCharacters = (view, shades) =>
  view.now().read.map((character, s) => {
    const node = element("span", { textContent: character });
    const weight = view.weight(view.step(), s);
    if (weight >= 0.02)
      Object.assign(node.style, { background: shades.of(weight), color: shades.inkOn(weight) });
    return node;
  });
