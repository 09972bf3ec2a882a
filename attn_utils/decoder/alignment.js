// The alignment: a row for each character written, a column for each character read.
import { clamp, element, fixed, setAll, svg } from "../widgets/kit/dom.js";
import { STEPS } from "./compute.js";
import { spoken } from "./spoken.js";

const [CELL, LINE, LEFT, TOP] = [13, 17, 20, 19]; // width and height of a cell; room for letters
const MAP_STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// `view.step()` is the row that is shown, `view.choose(row)` chooses another, and `view.point(row)`
// shows one for as long as the pointer is on it.
export const alignmentMap = (view) => {
  const node = svg("svg", { tabindex: 0, role: "application", "data-export": "" });
  node.setAttribute("aria-roledescription", "heatmap");
  const rowNames = Array.from({ length: STEPS }, (_, t) => {
    const y = TOP + (t + 0.5) * LINE + 4;
    return svg("text", { x: LEFT - 6, y, "text-anchor": "end" });
  });
  const picked = svg("rect", { class: "aw-al-picked", x: LEFT, height: LINE });
  node.append(...rowNames, picked);
  const map = { view, node, rowNames, picked, columns: [], at: 0 }; // `at`: the keys' column
  listenOnMap(map);
  const frame = element("div", { className: "aw-al-map-frame", tabIndex: -1 }, node);
  return {
    node: frame,
    draw(shades) {
      drawMap(map, shades);
      labelMap(map);
      showLargest(map, frame);
    },
  };
};

const listenOnMap = (map) => {
  const { view, node } = map;
  const hear = (event, show) => {
    const { clientX, clientY } = event;
    const inverse = node.getScreenCTM().inverse();
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(inverse);
    const [t, s] = [Math.floor((y - TOP) / LINE), Math.floor((x - LEFT) / CELL)];
    if (t < 0 || t >= STEPS || s < 0 || s >= view.now().read.length) return;
    goToCell(map, s, () => show(t));
  };
  node.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") hear(event, view.point);
  });
  node.addEventListener("pointerleave", () => view.point(null));
  node.addEventListener("pointerdown", (event) => hear(event, view.choose));
  node.addEventListener("keydown", (event) => {
    const step = MAP_STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    goToCell(map, map.at + step[1], () => view.choose(view.step() + step[0]));
  });
};

// On a narrow screen the map scrolls: to where the chosen row has its largest weight, when the row
// or the text has changed.
const showLargest = (map, frame) => {
  const { view } = map;
  const { read } = view.now();
  const shown = `${view.step()} ${read.join("")}`;
  if (shown === map.shown || frame.scrollWidth <= frame.clientWidth) return;
  map.shown = shown;
  const weights = read.map((_, s) => view.weight(view.step(), s));
  const column = LEFT + weights.indexOf(Math.max(...weights)) * CELL;
  frame.scrollLeft = column - frame.clientWidth / 2;
};

const goToCell = (map, s, showRow) => {
  showRow();
  map.at = s;
  map.view.w.say(`${labelMap(map)}.`);
};

// Puts the cell under the cursor into words.
const labelMap = (map) => {
  const { view } = map;
  const { read, answer } = view.now();
  map.at = clamp(map.at, 0, Math.max(0, read.length - 1));
  const [t, s] = [view.step(), map.at];
  let cell = "empty";
  if (read.length) {
    const [writes, reads] = [spoken(answer[t]), spoken(read[s])];
    cell = `${writes} looks at ${reads}, character ${s + 1}, with ${fixed(view.weight(t, s))}`;
  }
  map.node.setAttribute("aria-label", `Alignment. ${cell}. Arrow keys move from cell to cell.`);
  return cell;
};

const drawMap = (map, shades) => {
  const { view, node, rowNames, picked, columns } = map;
  const { read, answer, own } = view.now();
  const [S, chosen] = [read.length, view.step()];
  while (columns.length < S) addColumn(map);
  const [width, height] = [LEFT + S * CELL + 2, TOP + STEPS * LINE + 2];
  setAll(node, { viewBox: `0 0 ${width} ${height}`, width, height });
  columns.forEach(({ letter, cells }, s) => {
    for (const part of [letter, ...cells]) part.style.display = s < S ? "" : "none";
    if (s >= S) return;
    letter.textContent = read[s] === " " ? "␣" : read[s];
    cells.forEach((cell, t) => {
      cell.style.fill = shades.of(own.weights[t * S + s]);
    });
  });
  rowNames.forEach((name, t) => {
    name.textContent = answer[t] ?? "";
    name.classList.toggle("aw-al-chosen-name", t === chosen);
  });
  setAll(picked, { y: TOP + chosen * LINE, width: S * CELL });
};

const addColumn = ({ node, picked, columns }) => {
  const x = LEFT + columns.length * CELL;
  const letter = svg("text", { x: x + CELL / 2, y: TOP - 6, "text-anchor": "middle" });
  const cells = Array.from({ length: STEPS }, (_, t) =>
    svg("rect", { x, y: TOP + t * LINE, width: CELL, height: LINE }),
  );
  columns.push({ letter, cells });
  node.append(letter, ...cells, picked); // the frame of the chosen row stays on top
};
