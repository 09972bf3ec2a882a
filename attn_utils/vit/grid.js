import { clamp, element } from "../widgets/kit/dom.js";

// A canvas with a cell cursor: arrow keys and pointer go from patch to patch.
const SHEET = 580; // pixels of the canvas's longer side: two for each on the page
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

const lay = (node, { rows, columns }, [i, j]) =>
  Object.assign(node.style, {
    left: `${(100 * j) / columns}%`,
    top: `${(100 * i) / rows}%`,
    width: `${100 / columns}%`,
    height: `${100 / rows}%`,
  });

const patchUnder = (event, { canvas, rows, columns }) => {
  const area = canvas.getBoundingClientRect();
  const i = Math.floor(((event.clientY - area.top) / area.height) * rows);
  const j = Math.floor(((event.clientX - area.left) / area.width) * columns);
  return [clamp(i, 0, rows - 1), clamp(j, 0, columns - 1)];
};

// A mouse that is held down drags the asking patch along; a finger scrolls the page.
const hearPointerOn = (grid, w, { hear, press, drags }) => {
  const { canvas } = grid;
  let held = false;
  canvas.addEventListener("pointerdown", (event) => {
    held = drags;
    if (drags && event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const answer = held && event.pointerType === "mouse" ? press : hear;
    answer(...patchUnder(event, grid));
  });
  canvas.addEventListener("pointerup", () => {
    if (held) w.commit();
    held = false;
  });
  canvas.addEventListener("click", (event) => {
    press(...patchUnder(event, grid));
    w.commit();
  });
};

const hearKeysOn = (grid, w, { hear, press, drags }) =>
  grid.canvas.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step && event.key !== "Enter") return;
    event.preventDefault();
    if (step) {
      const [i, j] = [grid.cell[0] + step[0], grid.cell[1] + step[1]];
      grid.cell = [clamp(i, 0, grid.rows - 1), clamp(j, 0, grid.columns - 1)];
    }
    if (step && !drags) return hear(...grid.cell);
    press(...grid.cell);
    w.commitSoon();
  });

// `hear(row, column)` reads a patch, `press(row, column)` lets it ask; where `drags`, arrow keys
// and a drag let patches ask, too.
export const gridPanel = (w, answers) => {
  const canvas = element("canvas", {
    tabIndex: 0,
    role: "application",
    width: SHEET,
    height: SHEET,
  });
  canvas.setAttribute("aria-roledescription", "grid of patches");
  canvas.dataset.export = "";
  const asking = element("span", { className: "aw-asking-patch" });
  const cursor = element("span", { className: "aw-cell" });
  const frame = element("div", { className: "aw-heatmap-frame" }, canvas, asking, cursor);
  const title = element("figcaption");
  const grid = { canvas, rows: 1, columns: 1, cell: [0, 0] };
  hearPointerOn(grid, w, answers);
  hearKeysOn(grid, w, answers);
  return {
    node: element("figure", { className: "aw-heatmap" }, title, frame),
    canvas,
    title,
    resize(rows, columns, aspect) {
      Object.assign(grid, { rows, columns });
      frame.style.aspectRatio = aspect;
      canvas.width = Math.round(SHEET * Math.min(1, aspect));
      canvas.height = Math.round(SHEET / Math.max(1, aspect));
    },
    at(i, j) {
      grid.cell = [i, j];
      lay(cursor, grid, grid.cell);
    },
    ask(place) {
      asking.hidden = !place;
      if (place) lay(asking, grid, place);
    },
  };
};
