import { svg } from "../widgets/kit/dom.js";

// Each thing is drawn around (0, 0) from simple shapes; the numbers are its look and nothing else.
export const drawings = {
  newspaper: (p) => [
    svg("rect", { x: -48, y: -62, width: 96, height: 124, fill: p.white, stroke: "#999" }),
    svg("rect", { x: -40, y: -54, width: 80, height: 14, fill: "#444" }),
    svg("rect", { x: -40, y: -34, width: 38, height: 34, fill: "#b9b9b9" }),
    ...lines(4, -32, 36, 7, 6),
    ...lines(-40, 8, 36, 7, 7),
    ...lines(4, 8, 36, 7, 7),
  ],
  "research paper": (p) => [
    svg("rect", {
      x: -38,
      y: -50,
      width: 76,
      height: 100,
      fill: p.white,
      stroke: "#999",
      transform: "rotate(6)",
    }),
    svg(
      "g",
      { transform: "rotate(6)" },
      svg("rect", { x: -22, y: -42, width: 44, height: 6, fill: "#333" }),
      ...lines(-30, -28, 27, 6, 11),
      ...lines(3, -28, 27, 6, 11),
    ),
  ],
  "coffee cup": (p) => [
    svg("ellipse", { cx: 4, cy: 6, rx: 50, ry: 48, fill: "#000", "fill-opacity": 0.18 }),
    svg("circle", { r: 46, fill: "#f0eeea", stroke: "#bbb" }),
    svg("rect", {
      x: 24,
      y: -8,
      width: 34,
      height: 16,
      rx: 8,
      fill: p.red,
      transform: "rotate(-35)",
    }),
    svg("circle", { r: 31, fill: p.red }),
    svg("circle", { r: 25, fill: "#3b2114" }),
    svg("ellipse", { cx: -7, cy: -8, rx: 9, ry: 5, fill: "#8a5a3b", transform: "rotate(-30)" }),
  ],
  notebook: (p) => [
    svg("rect", { x: -46, y: -58, width: 92, height: 116, rx: 4, fill: p.white, stroke: "#888" }),
    ...Array.from({ length: 10 }, (_, i) =>
      svg("line", { x1: -34, x2: 38, y1: -44 + i * 10, y2: -44 + i * 10, stroke: "#aab" }),
    ),
    ...Array.from({ length: 9 }, (_, i) =>
      svg("circle", { cx: -42, cy: -48 + i * 12, r: 3, fill: "#666" }),
    ),
  ],
  book: (p) => [
    svg("rect", { x: -42, y: -56, width: 90, height: 118, fill: "#000", "fill-opacity": 0.2 }),
    svg("rect", { x: -46, y: -60, width: 90, height: 118, rx: 3, fill: p.black }),
    svg("rect", { x: -46, y: -60, width: 12, height: 118, fill: "#111" }),
    svg("rect", { x: -20, y: -38, width: 50, height: 8, fill: "#d9d4c6" }),
    svg("rect", { x: -12, y: -24, width: 34, height: 5, fill: "#a9a494" }),
  ],
  pen: (p) => [
    svg(
      "g",
      { transform: "rotate(35)" },
      svg("rect", { x: -4, y: -44, width: 8, height: 80, rx: 3, fill: p.black }),
      svg("path", { d: "M-4,36 L4,36 L0,50 Z", fill: "#888" }),
      svg("rect", { x: 3, y: -40, width: 3, height: 26, fill: "#aaa" }),
    ),
  ],
  pencil: (p) => [
    svg(
      "g",
      { transform: "rotate(-28)" },
      svg("rect", { x: -5, y: -44, width: 10, height: 76, fill: p.yellow }),
      svg("rect", { x: -5, y: -52, width: 10, height: 9, fill: "#d58a8a" }),
      svg("path", { d: "M-5,32 L5,32 L0,48 Z", fill: "#eed9b6" }),
      svg("path", { d: "M-1.6,43 L1.6,43 L0,48 Z", fill: "#333" }),
    ),
  ],
  apple: (p) => [
    svg("circle", { r: 30, fill: p.green }),
    svg("ellipse", { cx: -9, cy: -10, rx: 8, ry: 5, fill: "#a9d27f", transform: "rotate(-35)" }),
    svg("path", { d: "M0,-2 q4,-10 10,-14", stroke: "#5b3d1e", "stroke-width": 4, fill: "none" }),
  ],
  banana: (p) => [
    svg("path", {
      d: "M-46,-14 Q0,34 46,-18 L50,-10 Q2,56 -50,-4 Z",
      fill: p.yellow,
      stroke: "#b98d1e",
    }),
    svg("path", { d: "M46,-18 L52,-24 L54,-14 L50,-10 Z", fill: "#5b4320" }),
  ],
  "glass of water": (p) => [
    svg("circle", {
      r: 30,
      fill: p.blue,
      "fill-opacity": 0.55,
      stroke: "#e9f4ff",
      "stroke-width": 4,
    }),
    svg("path", {
      d: "M-18,-8 a20,20 0 0 1 18,-12",
      stroke: "#fff",
      "stroke-width": 3,
      fill: "none",
    }),
  ],
  phone: (p) => [
    svg("rect", { x: -26, y: -50, width: 52, height: 100, rx: 8, fill: p.black }),
    svg("rect", { x: -21, y: -42, width: 42, height: 82, rx: 2, fill: "#4c5563" }),
    svg("circle", { cy: 45, r: 2.5, fill: "#777" }),
  ],
  biscuit: (p) => [
    svg("circle", {
      r: 25,
      fill: p.yellow,
      stroke: "#b58b3c",
      "stroke-width": 3,
      "stroke-dasharray": "4 3",
    }),
    ...[
      [-8, -6],
      [6, -9],
      [9, 6],
      [-4, 9],
      [0, -1],
    ].map(([cx, cy]) => svg("circle", { cx, cy, r: 2.2, fill: "#8a6a2c" })),
  ],
};
const lines = (x, y, width, gap, count) =>
  Array.from({ length: count }, (_, i) =>
    svg("line", { x1: x, x2: x + width, y1: y + i * gap, y2: y + i * gap, stroke: "#8a8a8a" }),
  );
