// What the cache costs and what is lost: bars beside those of the unchanged model.
import { element, fixed } from "../widgets/kit/dom.js";

const grouped = new Intl.NumberFormat("en");
export const bytes = (count) => `${grouped.format(count)} bytes`;
export const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

const nats = (loss) => `${fixed(loss)} nats`;

const LINES = [
  { name: "kept in the cache", numberOf: (r) => sum(r.kept), write: bytes },
  { name: "read for the next word", numberOf: (r) => sum(r.read), write: bytes },
  { name: "loss, known orders", numberOf: (r) => r.total[1], write: nats, most: 3 },
  { name: "loss, all words", numberOf: (r) => r.total[0], write: nats, most: 3 },
];

const lineOf = (line) => {
  const [bar, rest] = ["aw-bar", "aw-rest"].map((className) => element("span", { className }));
  const [value, before] = [element("b"), element("span")];
  const node = element(
    "li",
    {},
    element("span", { className: "aw-cost", textContent: line.name }),
    element("span", { className: "aw-track", ariaHidden: "true" }, bar, rest),
    element("span", { className: "aw-amount" }, value, before),
  );
  return { ...line, node, bar, rest, value, before };
};

export const billPanel = () => {
  const lines = LINES.map(lineOf);
  const list = {
    className: "aw-bill",
    ariaLabel: "costs, in brackets those of the unchanged model",
  };
  const sums = element("p", { className: "aw-sums" });
  return {
    node: element(
      "section",
      { className: "aw-costs" },
      element("ul", list, ...lines.map((line) => line.node)),
      sums,
    ),
    // `unchanged` are the results with every control at rest; `told` says how the bytes add up.
    draw(results, unchanged, told) {
      for (const { bar, rest, value, before, numberOf, write, most } of lines) {
        const [now, then] = [results, unchanged].map(numberOf);
        const partOf = (number) => `${Math.min(100, (100 * number) / (most ?? then))}%`;
        bar.style.width = partOf(now);
        rest.style.left = partOf(then);
        value.textContent = write(now);
        before.textContent = ` (${write(then)})`;
      }
      sums.textContent = told;
    },
  };
};
