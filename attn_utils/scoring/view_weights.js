// The weights as bars, who wins under which rule, and how far softmax is saturated.
import { element, fixed } from "../widgets/kit/dom.js";
import { RULES } from "./compute.js";
import { signed } from "./view_plane.js";

const STEEPEST = 0.25; // α (1 − α) at α = ½

const barLine = (name) => {
  const [score, number] = [0, 1].map(() => element("span", { className: "aw-number" }));
  const bar = element("span", { className: "aw-fill" });
  const groove = element("span", { className: "aw-groove", ariaHidden: "true" }, bar);
  const label = element("span", { textContent: name });
  return { node: element("li", {}, label, score, groove, number), score, bar, number };
};
const barList = (...items) => element("ul", { className: "aw-bars" }, ...items);
const hint = (textContent = "") => element("p", { className: "aw-hint", textContent });

const keyBars = (count) => {
  const rows = Array.from({ length: count }, (_, i) => barLine(`key ${i + 1}`));
  const heads = ["", "score", "weight α", ""].map((textContent) =>
    element("span", { textContent }),
  );
  const head = element("li", { className: "aw-head" }, ...heads);
  return {
    node: barList(head, ...rows.map((row) => row.node)),
    draw({ scores, weights }, best) {
      rows.forEach(({ node, score, bar, number }, i) => {
        score.textContent = signed(scores[i]);
        bar.style.width = `${100 * weights[i]}%`;
        number.textContent = fixed(weights[i], 3);
        node.classList.toggle("aw-top", i === best);
      });
    },
  };
};

const saturation = (count) => {
  const meters = ["entropy", "largest slope"].map(barLine);
  for (const { node } of meters) node.classList.add("aw-meter");
  const most = [Math.log(count), STEEPEST];
  return {
    node: barList(...meters.map((meter) => meter.node)),
    draw({ entropy, slope }) {
      [entropy, slope].forEach((value, i) => {
        meters[i].score.textContent = fixed(value, 3);
        meters[i].bar.style.width = `${(100 * value) / most[i]}%`;
        meters[i].number.textContent = `/ ${fixed(most[i])}`;
      });
    },
  };
};

const winnerList = () => {
  const wins = RULES.map((rule) => {
    const [name, key] = [element("span", { textContent: rule }), element("span")];
    return { node: element("li", {}, name, key), key };
  });
  return {
    node: element("ul", { className: "aw-wins" }, ...wins.map((win) => win.node)),
    draw({ winners }, rule) {
      wins.forEach(({ node, key }, r) => {
        key.textContent = `key ${winners[r] + 1}`;
        node.classList.toggle("aw-top", RULES[r] === rule);
      });
    },
  };
};

export const weightPanel = (view) => {
  const count = view.now.weighed.keys.length;
  const [bars, meters, wins] = [keyBars(count), saturation(count), winnerList()];
  const note = hint(
    `Entropy of the weights, at most log ${count}; largest entry αᵢ(1 − αᵢ) of the ` +
      "softmax's Jacobian, at most ¼.",
  );
  const caption = hint("The winner under each rule:");
  const parts = [bars.node, meters.node, note, caption, wins.node];
  return {
    node: element("div", { className: "aw-score-side" }, ...parts),
    draw({ rule, weighed }) {
      bars.draw(weighed, weighed.winners[RULES.indexOf(rule)]);
      meters.draw(weighed);
      wins.draw(weighed, rule);
    },
  };
};
