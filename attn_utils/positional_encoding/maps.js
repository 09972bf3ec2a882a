// The matrix of encodings, the scores of all pairs of positions, and the score against the offset.
import { element, fixed, setAll, svg } from "../widgets/kit/dom.js";
import { heatmap } from "../widgets/kit/heatmap.js";
import { plane } from "../widgets/kit/plot.js";
import { onThemeChange, signedRamp } from "../widgets/kit/theme.js";

// The matrix has a map for each width; `learned()` says whether the table is shown that ends.
export const matrixPanel = (w, { rows, trained, side, learned }) => {
  const node = element("div", { className: "aw-place" });
  let colours = null; // one ramp for all maps
  onThemeChange(() => {
    colours = null;
  }, w.signal);
  const ramp = (box) => {
    colours ??= signedRamp(box);
    return colours;
  };
  const maps = new Map();
  const mapOf = (columns) => {
    if (!maps.has(columns))
      maps.set(columns, matrixMap(w, { rows, columns, trained, side, learned, ramp }));
    return maps.get(columns);
  };
  let drawn = null;
  return {
    node,
    draw({ width, position }, encoding) {
      const map = mapOf(width);
      if (node.firstChild !== map.node) node.replaceChildren(map.node);
      if (drawn !== encoding) map.draw(encoding.matrix, [-encoding.limit, encoding.limit]);
      drawn = encoding;
      map.node.classList.toggle("aw-cut", learned());
      map.mark(position);
    },
  };
};

const goTo = (w) => (position) => {
  w.set("position", position);
  w.commit();
};

const matrixMap = (w, { rows, columns, trained, side, learned, ramp }) => {
  const map = heatmap(w, {
    rows,
    columns,
    width: side,
    aspect: "1",
    ramp,
    label: "Encodings, a row each",
    xlabel: "column",
    ylabel: "position",
    nameOf: (i, j, value) =>
      learned() && i >= trained
        ? `Position ${i}: the learned table has no such row`
        : `Position ${i}, column ${j}: ${fixed(value, 3)}`,
    onPress: goTo(w),
  });
  const text = element("span", { textContent: "trained up to here" });
  const end = element("span", { className: "aw-ends", ariaHidden: "true" }, text);
  map.node.querySelector(".aw-heatmap-frame").append(end);
  return map;
};

export const pairMap = (w, trained, side) =>
  heatmap(w, {
    rows: trained,
    columns: trained,
    width: side,
    aspect: "1",
    label: "Scores of all pairs",
    xlabel: "key position",
    ylabel: "query position",
    nameOf: (i, j, value) =>
      `Query position ${i}, key position ${j}, offset ${i - j}: score ${fixed(value, 3)}`,
    onPress: goTo(w),
  });

export const curvePanel = (trained, width) => {
  const plot = plane({
    width,
    height: 190,
    x: [1 - trained, trained - 1],
    y: [-1, 1.2],
    xlabel: "offset: query position − key position",
    ylabel: "score",
    label: "Score against offset",
  });
  const ink = (tag, attributes) => plot.ink.appendChild(svg(tag, attributes));
  const band = ink("path", { class: "aw-band" });
  const half = ink("path", { class: "aw-half" });
  const curve = plot.line("aw-curve");
  const peak = ink("circle", { class: "aw-peak", r: 5 });
  const offsets = Array.from({ length: 2 * trained - 1 }, (_, o) => o - trained + 1);
  const around = ({ low, high }) => {
    const back = plot.path(offsets.toReversed(), low.toReversed()).replace("M", "L");
    return `${plot.path(offsets, high)}${back}Z`;
  };
  const caption = element("figcaption", { textContent: "Score against offset" });
  return {
    node: element("figure", { className: "aw-curve-panel" }, caption, plot.node),
    draw({ encoding: kind, look_back }, encoding) {
      const isLearned = kind === "learned";
      curve.setAttribute("d", plot.path(offsets, encoding.curve));
      band.setAttribute("d", isLearned ? around(encoding) : "");
      const at = isLearned ? 0 : look_back;
      const top = encoding.curve[at + trained - 1];
      const [left, right] = [1 - trained, trained - 1].map(plot.px);
      half.setAttribute("d", `M${left},${plot.py(top / 2)}H${right}`);
      setAll(peak, { cx: plot.px(at), cy: plot.py(top) });
    },
  };
};
