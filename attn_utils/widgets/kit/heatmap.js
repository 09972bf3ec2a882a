import { clamp, element, fixed } from "./dom.js";
import { colourRamp, onThemeChange } from "./theme.js";

// A matrix as a canvas of cells with a colour bar, a cell cursor and a spoken read-out.
// `nameOf(row, column)` puts a cell into words; `onPick` hears the cell under pointer or keys,
// `onPress` the one that is clicked or chosen by Enter. `ramp: signedRamp` is for signed numbers.
export const heatmap = (
  w,
  {
    rows,
    columns,
    label,
    xlabel = "Keys",
    ylabel = "Queries",
    width = 240,
    aspect = columns / rows,
    ramp: rampOf = colourRamp,
    nameOf,
    onPick = () => {},
    onPress = () => {},
  },
) => {
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
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  let values = new Float32Array(rows * columns);
  let range = [0, 1];
  let ramp = rampOf(w.box);
  let cell = [0, 0];

  const paint = () => {
    const scale = 255 / (range[1] - range[0] || 1);
    for (let k = 0; k < pixels.length; k++)
      pixels[k] = ramp[clamp((values[k] - range[0]) * scale, 0, 255) | 0];
    context.putImageData(image, 0, 0);
  };
  const paintBar = () => {
    const strip = bar.getContext("2d").createImageData(1, 256);
    new Uint32Array(strip.data.buffer).set(ramp.toReversed());
    bar.getContext("2d").putImageData(strip, 0, 0);
  };
  const place = () => {
    const [i, j] = cell;
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
  const pick = (i, j) => {
    cell = [clamp(i, 0, rows - 1), clamp(j, 0, columns - 1)];
    w.say(place());
    onPick(...cell);
  };
  const cellAt = (event) => {
    const area = canvas.getBoundingClientRect();
    return [
      Math.floor(((event.clientY - area.top) / area.height) * rows),
      Math.floor(((event.clientX - area.left) / area.width) * columns),
    ];
  };
  canvas.addEventListener("pointermove", (event) => pick(...cellAt(event)));
  canvas.addEventListener("click", (event) => {
    pick(...cellAt(event));
    onPress(...cell);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") return onPress(...cell);
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[
      event.key
    ];
    if (!move) return;
    event.preventDefault();
    pick(cell[0] + move[0], cell[1] + move[1]);
  });
  onThemeChange(() => {
    ramp = rampOf(w.box);
    paint();
    paintBar();
  }, w.signal);
  paintBar();

  const frame = element("div", { className: "aw-heatmap-frame" }, canvas, band, cursor);
  const scale = element("div", { className: "aw-scale", ariaHidden: "true" }, high, bar, low);
  const node = element(
    "figure",
    { className: "aw-heatmap" },
    element("figcaption", { textContent: label }),
    element("span", { className: "aw-ylabel", textContent: ylabel }),
    frame,
    scale,
    element("span", { className: "aw-xlabel", textContent: xlabel }),
  );
  node.style.setProperty("--aw-width", `${width}px`);
  frame.style.aspectRatio = aspect;

  return {
    node,
    // Shows new values; the scale is stated beside the map and shared by all its cells.
    draw(matrix, [from, to] = [0, 1]) {
      values = matrix;
      range = [from, to];
      [low.textContent, high.textContent] = [fixed(from), fixed(to)];
      paint();
      place();
    },
    // Frames a whole row; none if there is no such row.
    mark(i) {
      band.hidden = !(i >= 0 && i < rows);
      Object.assign(band.style, { top: `${(100 * i) / rows}%`, height: `${100 / rows}%` });
    },
    point(i, j) {
      cell = [clamp(i, 0, rows - 1), clamp(j, 0, columns - 1)];
      place();
    },
  };
};
