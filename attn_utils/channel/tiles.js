import { clamp, element, fixed, holdTouch, setAll } from "../widgets/kit/dom.js";
import { PIXELS, SIDE } from "./compute.js";
import { brushFigure, choose, refresh, rewrite, story } from "./lab.js";

// The channels as small pictures: one row of them is painted on, the other shows what the gates
// let through.

// A small grey picture on a canvas, 0 black and 1 white.
const picture = (properties = {}) => {
  const canvas = element("canvas", { width: SIDE, height: SIDE, ...properties });
  canvas.dataset.export = "";
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  const words = new Uint32Array(image.data.buffer);
  const draw = (values, from) => {
    for (let p = 0; p < PIXELS; p++) {
      const level = Math.round(255 * clamp(values[from + p], 0, 1));
      words[p] = ((255 << 24) | (level << 16) | (level << 8) | level) >>> 0;
    }
    context.putImageData(image, 0, 0);
  };
  return { canvas, draw };
};

const frame = (...nodes) => element("div", { className: "aw-tile-frame" }, ...nodes);

export const resultTile = (c) => {
  const { canvas, draw } = picture({ role: "img" });
  return {
    node: element("div", { className: "aw-tile" }, frame(canvas)),
    draw({ now }) {
      draw(now.output, c * PIXELS);
      canvas.setAttribute("aria-label", `Channel ${c + 1} times its gate ${fixed(now.gates[c])}`);
    },
  };
};

// ---- painting: the tile remembers its cell [row, column], the pixel under the brush

const paint = ({ lab, c, cell }, figure = brushFigure(lab)) =>
  rewrite(lab, c, (patch) => {
    patch[cell[0] * SIDE + cell[1]] = figure;
  });

const levelAt = ({ lab, c, cell: [i, j] }) => fixed(lab.image[c * PIXELS + i * SIDE + j]);

const showCell = (tile) => {
  const [i, j] = tile.cell;
  const percent = (cells) => `${(100 * cells) / SIDE}%`;
  Object.assign(tile.cursor.style, {
    left: percent(j),
    top: percent(i),
    width: percent(1),
    height: percent(1),
  });
  tile.canvas.setAttribute(
    "aria-label",
    `Channel ${tile.c + 1}. Row ${i + 1}, column ${j + 1}: ${levelAt(tile)}. ` +
      "Arrow keys move, space paints, Delete erases.",
  );
};

const cellUnder = (event, canvas) => {
  const area = canvas.getBoundingClientRect();
  const cellOf = (share) => clamp(Math.floor(share * SIDE), 0, SIDE - 1);
  return [
    cellOf((event.clientY - area.top) / area.height),
    cellOf((event.clientX - area.left) / area.width),
  ];
};

// Paints from the last cell to this one: a quick stroke leaves no gaps.
const strokeTo = (tile, [i1, j1]) => {
  const [i0, j0] = tile.cell;
  const steps = Math.max(Math.abs(i1 - i0), Math.abs(j1 - j0));
  for (let s = 1; s <= steps; s++) {
    tile.cell = [
      Math.round(i0 + ((i1 - i0) * s) / steps),
      Math.round(j0 + ((j1 - j0) * s) / steps),
    ];
    paint(tile);
  }
};

const hearPointer = (tile) => {
  const { canvas, lab, c } = tile;
  let held = null;
  holdTouch(canvas); // a finger paints and does not scroll
  canvas.addEventListener("pointerdown", (event) => {
    held = event.pointerId;
    canvas.setPointerCapture(held);
    canvas.focus({ preventScroll: true });
    event.preventDefault();
    tile.cell = cellUnder(event, canvas);
    paint(tile);
    choose(lab, c);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId === held) strokeTo(tile, cellUnder(event, canvas));
  });
  const release = (event) => {
    if (event.pointerId !== held) return;
    held = null;
    lab.w.say(story(lab, c));
    lab.w.commit();
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
};

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

const hearKeys = (tile) => {
  const { canvas, lab, c } = tile;
  canvas.addEventListener("focus", () => lab.chosen !== c && choose(lab, c));
  canvas.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    const erases = event.key === "Delete" || event.key === "Backspace";
    if (!move && !erases && event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (move) tile.cell = tile.cell.map((at, axis) => clamp(at + move[axis], 0, SIDE - 1));
    if (!move || event.shiftKey) {
      paint(tile, erases ? "0" : undefined);
      lab.w.commitSoon();
    }
    showCell(tile);
    const [i, j] = tile.cell;
    choose(lab, c, `Row ${i + 1}, column ${j + 1}: ${levelAt(tile)}. ${story(lab, c)}`);
  });
};

const volumeSlider = (lab, c) => {
  const label = `volume of channel ${c + 1}`;
  const input = element("input", { type: "range", min: 0, max: 2, step: 0.05, ariaLabel: label });
  input.addEventListener("input", () => {
    lab.w.set("volumes", lab.w.get("volumes").with(c, Number(input.value)));
    refresh(lab);
    choose(lab, c);
  });
  input.addEventListener("change", () => lab.w.commit());
  return input;
};

export const paintTile = (lab, c) => {
  const { canvas, draw } = picture({ tabIndex: 0, role: "application" });
  canvas.setAttribute("aria-roledescription", "picture to paint on");
  const cursor = element("span", { className: "aw-cell" });
  const tile = { lab, c, canvas, cursor, cell: [3, 3] };
  hearPointer(tile);
  hearKeys(tile);
  const volume = volumeSlider(lab, c);
  const name = element("span", { className: "aw-tile-name", textContent: `channel ${c + 1}` });
  setAll(name, { "data-export-text": "" });
  const node = element(
    "div",
    { className: "aw-tile aw-paint" },
    name,
    frame(canvas, cursor),
    volume,
  );
  return {
    node,
    draw({ w, image, chosen }) {
      draw(image, c * PIXELS);
      volume.value = w.get("volumes")[c];
      volume.setAttribute("aria-valuetext", `${fixed(w.get("volumes")[c])} times`);
      node.classList.toggle("aw-chosen", c === chosen);
      showCell(tile);
    },
  };
};
