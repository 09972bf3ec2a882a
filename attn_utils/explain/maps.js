// Where the model looks: one map large, those of all heads small.
import { button } from "../widgets/kit/controls.js";
import { clamp, element, fixed } from "../widgets/kit/dom.js";
import { heatmap } from "../widgets/kit/heatmap.js";
import { DOTS, SIZE } from "./ink.js";
import { shade } from "./paper.js";

// The patch of a pixel, counted row by row; `grid` is rows and columns of patches.
export const patchOf = ([rows, columns], pixel) => {
  const [i, j] = [Math.floor(pixel / SIZE), pixel % SIZE];
  return Math.floor((i * rows) / SIZE) * columns + Math.floor((j * columns) / SIZE);
};
export const nameOfPatch = ([, columns], k) =>
  `row ${Math.floor(k / columns) + 1}, column ${(k % columns) + 1}`;
export const nameOfAsker = (grid, query) =>
  query ? `the patch in ${nameOfPatch(grid, query - 1)}` : "the class token";
// Layer 0 is the rollout, head 0 the mean over the heads.
export const nameOfMap = (layer, head) =>
  layer ? `layer ${layer}, ${head ? `head ${head}` : "mean of heads"}` : "rollout";

export const tinyCanvas = (className = "") =>
  element("canvas", { width: SIZE, height: SIZE, className: `aw-tiny ${className}`.trim() });

// Values of the patches as colours, from 0 to `top`, with what the model sees over them.
export const paintMap = (canvas, grid, values, seen, look, top) => {
  const image = new ImageData(SIZE, SIZE);
  const words = new Uint32Array(image.data.buffer);
  for (let k = 0; k < words.length; k++) {
    const word = look.ramp[clamp((255 * values[patchOf(grid, k)]) / top, 0, 255) | 0];
    words[k] = shade(word, look.ink, (0.62 * seen[k]) / DOTS ** 2);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
};

const scaleFor = (most) => [0.1, 0.2, 0.3, 0.5].find((top) => top >= most) ?? 1;
const patchesIn = (row) => row.subarray(1); // without the class token

// ---- the large map; choosing a patch lets it ask

export const largeMap = (w, grid) => {
  const [rows, columns] = grid;
  const map = heatmap(w, {
    rows,
    columns,
    width: 184,
    label: "Attention",
    xlabel: "",
    ylabel: "",
    nameOf: (i, j, value) => {
      const [from, to] = [nameOfAsker(grid, w.get("query")), nameOfPatch(grid, i * columns + j)];
      const map = nameOfMap(w.get("layer"), w.get("head"));
      return `From ${from} to ${to}, ${map}: ${fixed(value, 3)}`;
    },
    onPress(i, j) {
      const token = i * columns + j + 1;
      w.set("query", w.get("query") === token ? 0 : token);
      w.say(`Now ${nameOfAsker(grid, w.get("query"))} asks.`);
      w.commit();
    },
  });
  const ink = tinyCanvas("aw-ink-layer");
  ink.dataset.export = "";
  const mark = element("span", { className: "aw-asker" });
  map.node.querySelector(".aw-heatmap-frame canvas").after(ink, mark);
  const itself = element("p", { className: "aw-hint" });
  const back = button("Let the class token ask", () => {
    w.set("query", 0);
    w.commit();
  });
  const parts = { map, ink, mark, itself, back, caption: map.node.querySelector("figcaption") };
  return {
    node: element("div", { className: "aw-view" }, map.node, itself, back),
    draw: (row, state, seen, look) => drawLarge(parts, grid, row, state, seen, look),
  };
};

const drawLarge = (parts, grid, row, { layer, head, query }, seen, look) => {
  const { map, ink, mark, itself, back, caption } = parts;
  map.draw(row.slice(1), [0, scaleFor(Math.max(...patchesIn(row)))]);
  caption.textContent = `What it sees: ${nameOfMap(layer, head)}`;
  itself.textContent = query
    ? `From ${nameOfAsker(grid, query)}; to the class token ${fixed(row[0])}.`
    : `The class token gives itself ${fixed(row[0])}.`;
  const image = new ImageData(SIZE, SIZE);
  seen.forEach((count, k) => {
    image.data.set([...look.ink, (255 * 0.8 * count) / DOTS ** 2], 4 * k);
  });
  ink.getContext("2d").putImageData(image, 0, 0);
  mark.hidden = !query;
  back.disabled = !query;
  if (query) placeOverPatch(mark, grid, query - 1);
};

const placeOverPatch = (mark, [rows, columns], k) =>
  Object.assign(mark.style, {
    left: `${(100 * (k % columns)) / columns}%`,
    top: `${(100 * Math.floor(k / columns)) / rows}%`,
    width: `${100 / columns}%`,
    height: `${100 / rows}%`,
  });

// ---- the small maps: a row for each layer, its heads and their mean, and the rollout

export const smallMaps = (w, grid, layers, heads) => {
  const maps = [];
  const add = (layer, head, text) => {
    maps.push(smallMap(w, layer, head, text));
    return maps.at(-1).node;
  };
  const label = { role: "group", ariaLabel: "maps, one for each head" };
  const table = element("div", { className: "aw-maps", ...label });
  table.style.setProperty("--aw-columns", heads + 1);
  for (let layer = 1; layer <= layers; layer++) {
    table.append(element("span", { className: "aw-layer-name", textContent: `Layer ${layer}` }));
    for (let head = 1; head <= heads; head++) table.append(add(layer, head, `head ${head}`));
    table.append(add(layer, 0, "mean"));
  }
  const legend = element("p", { className: "aw-hint" });
  const side = element("div", { className: "aw-maps-side" }, add(0, 0, "rollout"), legend);
  return {
    node: element("div", { className: "aw-all-maps" }, table, side),
    // `rowOf(layer, head)` is what the asking token gives each token.
    draw(rowOf, state, seen, look) {
      const rows = maps.map(({ layer, head }) => patchesIn(rowOf(layer, head)));
      const top = scaleFor(Math.max(...rows.map((row) => Math.max(...row))));
      legend.textContent =
        `One colour scale for all these maps, from 0 to ${top}. Choose one to see it large; ` +
        "in the large map, choose a patch to let it ask.";
      maps.forEach((map, k) => {
        paintMap(map.picture, grid, rows[k], seen, look, top);
        labelSmall(map, grid, rows[k], state);
      });
    },
  };
};

const smallMap = (w, layer, head, text) => {
  const picture = tinyCanvas();
  const show = () => {
    w.set("layer", layer);
    w.set("head", head);
    w.commit();
  };
  const node = button("", show, { className: "aw-map" });
  node.append(picture, element("span", { textContent: text }));
  return { layer, head, picture, node };
};

const labelSmall = ({ node, layer, head }, grid, row, state) => {
  const most = Math.max(...row);
  const where = nameOfPatch(grid, row.indexOf(most));
  node.ariaPressed = String(layer === state.layer && (head === state.head || !layer));
  node.ariaLabel = `${nameOfMap(layer, head)}, most on ${where}: ${fixed(most)}`;
};
