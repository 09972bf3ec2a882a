// The answers of one example: a bar for each class, covered until the reader has guessed.
import { button } from "../widgets/kit/controls.js";
import { element, fixed } from "../widgets/kit/dom.js";
import { softmaxInto } from "../widgets/kit/math.js";

export const answerPanel = (classes, guess) => {
  const rows = classes.map((name, c) => rowOfClass(name, () => guess(c)));
  const probabilities = new Float64Array(classes.length);
  return {
    node: element("ul", { className: "aw-answers" }, ...rows.map((row) => row.node)),
    // `marks` are classes: the heads' answer, the right one, the reader's guess (or −1).
    draw(logits, marks, isCovered) {
      softmaxInto(logits, probabilities);
      rows.forEach((row, c) => {
        drawRow(row, c, probabilities[c], marks, isCovered);
      });
    },
  };
};

const rowOfClass = (name, guess) => {
  const choose = button(name, guess, { className: "aw-class" });
  const bar = element("span", { className: "aw-bar" });
  const note = element("span", { className: "aw-answer-note" });
  const value = element("span", { className: "aw-value" });
  const track = element("span", { className: "aw-track" }, bar);
  return { name, choose, bar, note, value, node: element("li", {}, choose, track, value, note) };
};

const drawRow = (row, c, probability, { answer, right, guessed }, isCovered) => {
  row.choose.disabled = !isCovered;
  row.choose.setAttribute("aria-label", isCovered ? `guess ${row.name}` : row.name);
  row.bar.style.width = isCovered ? "0" : `${100 * probability}%`;
  row.value.textContent = isCovered ? "?" : fixed(probability);
  const said = [c === answer && "answer", c === right && "right", c === guessed && "your guess"];
  row.note.textContent = isCovered ? "" : said.filter(Boolean).join(", ");
  row.node.classList.toggle("aw-right", !isCovered && c === right);
  row.node.classList.toggle("aw-answer", !isCovered && c === answer);
};
