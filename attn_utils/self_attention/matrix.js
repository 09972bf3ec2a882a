// A matrix as an SVG of cells: names of rows and columns, a number in each cell, a cell cursor.
import { clamp, element, setAll, svg } from "../widgets/kit/dom.js";
import { shortly } from "./words.js";

const HIGH = 27; // a cell's height

// "Q = a W_q" with the letter after the underscore set low.
export const lowered = (text) =>
  text.split(/_(\w)/).map((part, i) => (i % 2 ? element("sub", { textContent: part }) : part));

// ---- its parts

const nameNode = (x, y, anchor) => svg("text", { x, y, "text-anchor": anchor, class: "aw-name" });
const cellNodes = (x, y, wide) => {
  const place = { x: x + 0.5, y: y + 0.5, width: wide - 1, height: HIGH - 1 };
  const middle = { x: x + wide / 2, y: y + HIGH / 2 + 4, "text-anchor": "middle" };
  return {
    box: svg("rect", { ...place, class: "aw-box" }),
    number: svg("text", { ...middle, class: "aw-entry" }),
    text: "",
    look: "",
  };
};

const buildMatrix = (m, layout) => {
  const { rows, columns, wide, left, top } = layout;
  const [width, height] = [left + columns * wide + 2, top + rows * HIGH + 2];
  setAll(m.node, { viewBox: `0 0 ${width} ${height}`, width, height });
  m.layout = layout;
  m.rowNames = Array.from({ length: rows }, (_, i) =>
    nameNode(left - 5, top + (i + 0.5) * HIGH + 4, "end"),
  );
  m.columnNames = Array.from({ length: columns }, (_, j) =>
    nameNode(left + (j + 0.5) * wide, top - 5, "middle"),
  );
  m.cells = Array.from({ length: rows * columns }, (_, at) =>
    cellNodes(left + (at % columns) * wide, top + Math.floor(at / columns) * HIGH, wide),
  );
  m.outline = svg("rect", { class: "aw-outline", rx: 2, visibility: "hidden" });
  m.ring = svg("rect", { class: "aw-cursor", width: wide, height: HIGH, rx: 2 });
  const cells = m.cells.flatMap(({ box, number }) => [box, number]);
  m.node.replaceChildren(...m.rowNames, ...m.columnNames, ...cells, m.outline, m.ring);
  m.cell = [Math.min(m.cell[0], rows - 1), Math.min(m.cell[1], columns - 1)];
};

// ---- its cursor

// Puts the cursor where it belongs and the cell into words.
const place = (m) => {
  const { left, top, wide } = m.layout;
  setAll(m.ring, { x: left + m.cell[1] * wide, y: top + m.cell[0] * HIGH });
  const words = m.explain(...m.cell);
  const keys = `Arrow keys move from cell to cell${m.press ? ", Space forbids or allows" : ""}.`;
  m.node.setAttribute("aria-label", `${m.caption.textContent}. ${words}. ${keys}`);
  return words;
};
const pick = (m, i, j) => {
  m.cell = [clamp(i, 0, m.layout.rows - 1), clamp(j, 0, m.layout.columns - 1)];
  m.w.say(place(m));
  m.onPick(m.id, ...m.cell);
};
const cellAt = ({ node, layout }, event) => {
  const toCells = node.getScreenCTM().inverse();
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(toCells);
  const i = Math.floor((point.y - layout.top) / HIGH);
  const j = Math.floor((point.x - layout.left) / layout.wide);
  return i >= 0 && j >= 0 && i < layout.rows && j < layout.columns ? [i, j] : null;
};

const hearPointer = (m) => {
  const { node } = m;
  node.addEventListener("pointermove", (event) => {
    const at = cellAt(m, event);
    if (at && (at[0] !== m.cell[0] || at[1] !== m.cell[1] || node.dataset.off)) pick(m, ...at);
    delete node.dataset.off;
  });
  node.addEventListener("pointerleave", () => {
    node.dataset.off = "";
    if (document.activeElement !== node) m.onPick();
  });
  node.addEventListener("click", (event) => {
    const at = cellAt(m, event);
    if (!at) return;
    pick(m, ...at);
    m.press?.(...at);
  });
};
const hearKeys = (m) => {
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  m.node.addEventListener("focus", () => m.onPick(m.id, ...m.cell));
  m.node.addEventListener("blur", () => m.onPick());
  m.node.addEventListener("keydown", (event) => {
    const chosen = event.key === "Enter" || event.key === " ";
    const move = moves[event.key];
    if (!chosen && !move) return;
    event.preventDefault();
    if (move) pick(m, m.cell[0] + move[0], m.cell[1] + move[1]);
    else if (m.press) m.press(...m.cell);
    else m.w.say(place(m));
  });
};

// ---- what the studio does with it

// `explain(i, j)` puts a cell into words, `press(i, j)` hears clicks, Enter and Space; `onPick`
// hears the panel and the cell under pointer or cursor, and nothing when they leave.
export const openMatrix = (w, { id, title, note = "", explain, press, onPick }) => {
  const node = svg("svg", {
    class: "aw-matrix",
    tabindex: 0,
    role: press ? "application" : "group",
    "data-export": "",
    "aria-roledescription": "matrix",
  });
  const caption = element("figcaption", {}, ...lowered(title));
  const small = element("div", { className: "aw-under", textContent: note });
  const className = `aw-panel aw-panel-${id}`;
  const figure = element("figure", { className }, caption, node, small);
  const m = { w, id, node, caption, small, figure, explain, press, onPick, cell: [0, 0] };
  Object.assign(m, { layout: {}, cells: [], rowNames: [], columnNames: [] });
  hearPointer(m);
  hearKeys(m);
  return m;
};

const setNames = (nodes, names) => {
  nodes.forEach((node, i) => {
    if (node.textContent !== names[i]) node.textContent = names[i];
  });
};
// Room for the names: as much as they need.
const layoutOf = (m, { shape: [rows, columns], size, rowsAre, columnsAre }) => {
  const left = 9 + Math.ceil(6.2 * Math.max(...rowsAre.map((name) => [...name].length)));
  const top = columnsAre[0] || m.id === "output" ? 17 : 3; // the output lines up with the scores
  return { rows, columns, wide: size, left, top };
};
// Writes what has changed: setting an attribute costs more than comparing a text.
const drawCell = (cell, { text, kind, opacity, shut, asked }) => {
  const look = `aw-box ${kind}${shut ? " aw-shut" : ""}${asked ? " aw-asked" : ""}`;
  const depth = opacity.toFixed(3);
  if (cell.text !== text) cell.number.textContent = cell.text = text;
  if (cell.look === `${look}|${depth}`) return;
  cell.look = `${look}|${depth}`;
  cell.box.setAttribute("class", look);
  cell.box.style.setProperty("fill-opacity", depth);
  const nan = kind === "aw-nan" ? " aw-entry-nan" : "";
  cell.number.setAttribute("class", `aw-entry${shut ? " aw-entry-shut" : ""}${nan}`);
};
// `values` row by row; `colour(value)` gives [class, opacity]; `shut` marks forbidden cells.
export const drawMatrix = (m, drawing) => {
  const { values, hidden = false, asked = -1, colour, rowsAre, columnsAre, shut } = drawing;
  const layout = layoutOf(m, drawing);
  if (Object.keys(layout).some((name) => layout[name] !== m.layout[name])) buildMatrix(m, layout);
  setNames(m.rowNames, rowsAre);
  setNames(m.columnNames, columnsAre);
  m.figure.classList.toggle("aw-covered", hidden);
  m.cells.forEach((cell, at) => {
    const forbidden = !hidden && shut?.[at] === 0;
    const [kind, opacity] = hidden ? ["", 0] : colour(values[at]);
    const shown = forbidden && values[at] === 0 ? "0" : shortly(values[at]); // exactly 0
    const text = hidden ? "?" : shown;
    drawCell(cell, { text, kind, opacity, shut: forbidden, asked: at === asked });
  });
  place(m);
};

// Frames what a cell elsewhere is made of: r rows and c columns from row i and column j on.
export const frameCells = (m, i, j, r = 1, c = 1) => {
  const { left, top, wide, rows, columns } = m.layout;
  if (i >= rows || j >= columns) return unframe(m);
  setAll(m.outline, {
    visibility: "visible",
    x: left + j * wide + 1,
    y: top + i * HIGH + 1,
    width: Math.min(c, columns) * wide - 2,
    height: Math.min(r, rows) * HIGH - 2,
  });
};
export const unframe = (m) => m.outline?.setAttribute("visibility", "hidden");
