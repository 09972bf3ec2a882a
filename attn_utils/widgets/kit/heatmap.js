// A matrix as a canvas of cells with a colour bar, a cell cursor and a spoken read-out.
import { clamp, element, fixed } from "./dom.js";
import { colourRamp, onThemeChange } from "./theme.js";

const CELL_STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// `nameOf(row, column, value)` puts a cell into words; `onPick` hears the cell under pointer or
// keys, `onPress` the one that is clicked or chosen by Enter. `ramp: signedRamp` is for signed
// numbers, `aspect` is the width by the height of the whole map.
export const heatmap = (w, options) => {
  const { rows, columns, ramp = colourRamp, onPick = () => {}, onPress = () => {} } = options;
  const map = {
    ...{ ...options, w, ramp, onPick, onPress },
    ...heatmapParts(options),
    values: new Float32Array(rows * columns),
    range: [0, 1],
    cell: [0, 0],
  };
  map.colours = map.ramp(w.box);
  listenOnHeatmap(map);
  onThemeChange(() => {
    map.colours = map.ramp(w.box);
    paintHeatmap(map);
    paintColourBar(map);
  }, w.signal);
  paintColourBar(map);

  return {
    node: map.node,
    // Shows new values; the scale is stated beside the map and shared by all its cells.
    draw(matrix, range = [0, 1]) {
      Object.assign(map, { values: matrix, range });
      [map.low.textContent, map.high.textContent] = range.map((end) => fixed(end));
      paintHeatmap(map);
      placeCursor(map);
    },
    // Frames a whole row; none if there is no such row.
    mark(row) {
      map.band.hidden = !(row >= 0 && row < rows);
      Object.assign(map.band.style, { top: `${(100 * row) / rows}%`, height: `${100 / rows}%` });
    },
    point(row, column) {
      moveCursor(map, row, column);
    },
  };
};

const heatmapParts = ({
  rows,
  columns,
  label,
  xlabel = "Keys",
  ylabel = "Queries",
  width = 240,
  aspect = columns / rows,
}) => {
  const canvas = element("canvas", {
    width: columns,
    height: rows,
    tabIndex: 0,
    role: "application",
  });
  canvas.setAttribute("aria-roledescription", "heatmap");
  canvas.dataset.export = "";
  const cursor = element("span", { className: "aw-cell" });
  const band = element("span", { className: "aw-row", hidden: true });
  const bar = element("canvas", { width: 1, height: 256, className: "aw-colourbar" });
  const [low, high] = [element("span"), element("span")];

  const frame = element("div", { className: "aw-heatmap-frame" }, canvas, band, cursor);
  frame.style.aspectRatio = aspect;
  const node = element(
    "figure",
    { className: "aw-heatmap" },
    element("figcaption", { textContent: label }),
    element("span", { className: "aw-ylabel", textContent: ylabel }),
    frame,
    element("div", { className: "aw-scale", ariaHidden: "true" }, high, bar, low),
    element("span", { className: "aw-xlabel", textContent: xlabel }),
  );
  node.style.setProperty("--aw-width", `${width}px`);
  const image = canvas.getContext("2d").createImageData(columns, rows);
  return { node, canvas, cursor, band, bar, low, high, image };
};

const paintHeatmap = ({ canvas, image, values, range: [from, to], colours }) => {
  const scale = 255 / (to - from || 1);
  const pixels = new Uint32Array(image.data.buffer);
  for (let k = 0; k < pixels.length; k++)
    pixels[k] = colours[clamp((values[k] - from) * scale, 0, 255) | 0];
  canvas.getContext("2d").putImageData(image, 0, 0);
};

const paintColourBar = ({ bar, colours }) => {
  const context = bar.getContext("2d");
  const strip = context.createImageData(1, 256);
  new Uint32Array(strip.data.buffer).set(colours.toReversed());
  context.putImageData(strip, 0, 0);
};

const moveCursor = (map, row, column) => {
  map.cell = [clamp(row, 0, map.rows - 1), clamp(column, 0, map.columns - 1)];
  return placeCursor(map);
};

// Frames the cell of the cursor, and returns what it is in words.
const placeCursor = ({ rows, columns, cell: [i, j], cursor, canvas, nameOf, values, label }) => {
  Object.assign(cursor.style, {
    left: `${(100 * j) / columns}%`,
    top: `${(100 * i) / rows}%`,
    width: `${100 / columns}%`,
    height: `${100 / rows}%`,
  });
  const words = nameOf(i, j, values[i * columns + j]);
  canvas.setAttribute("aria-label", `${label}. ${words}. Arrow keys move from cell to cell.`);
  return words;
};

const listenOnHeatmap = (map) => {
  const { canvas, rows, columns } = map;
  const pick = (row, column) => {
    map.w.say(moveCursor(map, row, column));
    map.onPick(...map.cell);
  };
  const cellAt = ({ clientX, clientY }) => {
    const area = canvas.getBoundingClientRect();
    return [
      Math.floor(((clientY - area.top) / area.height) * rows),
      Math.floor(((clientX - area.left) / area.width) * columns),
    ];
  };
  canvas.addEventListener("pointermove", (event) => pick(...cellAt(event)));
  canvas.addEventListener("click", (event) => {
    pick(...cellAt(event));
    map.onPress(...map.cell);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      map.onPress(...map.cell);
      return;
    }
    const move = CELL_STEPS[event.key];
    if (!move) return;
    event.preventDefault();
    pick(map.cell[0] + move[0], map.cell[1] + move[1]);
  });
};
