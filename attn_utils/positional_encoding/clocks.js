// Clock hands: 12 o'clock is angle 0, clockwise. Beside them the same position in binary.
import { element, fixed, setAll, svg } from "../widgets/kit/dom.js";

export const TAU = 2 * Math.PI;

const brief = (v) => {
  if (v < 1000) return v.toFixed(v < 10 ? 1 : 0);
  return v < 1e6 ? `${(v / 1000).toFixed(v < 1e4 ? 1 : 0)}k` : "∞";
};

// Built anew when the number of pairs changes. A thin second hand shows where a query looks back
// to.
export const clockPanel = (room) => {
  const node = svg("svg", { class: "aw-clocks", role: "img", "data-export": "" });
  const panel = { node, room, pairs: 0, clocks: [], labelled: "" };
  return {
    node,
    draw(state, encoding) {
      if (panel.pairs !== state.width / 2) buildClocks(panel, state.width / 2);
      drawClocks(panel, state, encoding);
    },
  };
};

const buildClocks = (panel, pairs) => {
  const { node, room } = panel;
  const across = Math.min(pairs, Math.floor(room / (room < 450 ? 44 : 56)));
  const lines = Math.ceil(pairs / across);
  const even = Math.ceil(pairs / lines); // no nearly empty last line
  const cell = Math.min(92, room / even);
  const [r, high, left] = [cell / 2 - 4, cell + 15, (room - even * cell) / 2];
  const height = lines * high;
  setAll(node, { viewBox: `0 0 ${room} ${height}`, width: room, height });
  const clocks = Array.from({ length: pairs }, (_, j) => {
    const x = left + cell * ((j % even) + 0.5);
    return clockAt(x, Math.floor(j / even) * high + cell / 2, r);
  });
  node.replaceChildren(...clocks.map((clock) => clock.group));
  Object.assign(panel, { pairs, clocks, labelled: "" });
};

const clockAt = (x, y, r) => {
  const back = svg("path", { class: "aw-back" });
  const hand = svg("path", { class: "aw-hand", "stroke-width": Math.max(2, r / 10).toFixed(1) });
  const place = { y: (r + 15).toFixed(1), "text-anchor": "middle", "font-size": 11 };
  const text = svg("text", place);
  const face = svg("circle", { class: "aw-face", r });
  const hours = svg("path", { class: "aw-hour", d: hourMarks(r) });
  const group = svg("g", { transform: `translate(${x} ${y})` }, face, hours, back, hand, text);
  return { group, back, hand, text, r, dot: Math.max(2, r / 9) };
};

const hourMarks = (r) =>
  Array.from({ length: 12 }, (_, h) => {
    const [x, y] = [Math.sin((h * TAU) / 12) * r, -Math.cos((h * TAU) / 12) * r];
    const from = h % 3 ? 0.9 : 0.8;
    const [start, end] = [
      [x, y],
      [x * from, y * from],
    ].map((p) => p.map((v) => v.toFixed(1)));
    return `M${start}L${end}`;
  }).join("");

const drawClocks = (panel, state, encoding) => {
  const { base, position } = state;
  const isLearned = state.encoding === "learned";
  const isMissing = isLearned && position >= state._sizes[1];
  const labels = isMissing ? "?" : isLearned ? "none" : String(base);
  panel.clocks.forEach((clock, j) => {
    const tip = tipOf(state, encoding, j, clock.r * 0.92);
    clock.hand.setAttribute("d", isMissing ? "" : handTo(tip, clock.dot));
    drawBack(clock.back, tip, isLearned ? 0 : state.look_back, encoding.omega?.[j]);
    if (labels === panel.labelled) return;
    clock.text.textContent = isMissing ? "?" : isLearned ? "" : brief(TAU / encoding.omega[j]);
  });
  panel.labelled = labels;
  panel.node.setAttribute("aria-label", describeClocks(panel.pairs, state, encoding, isMissing));
};

// The tip of hand j, to the right and up, for a clock with hands of length `r`.
const tipOf = ({ position, width, encoding: kind }, { matrix, limit }, j, r) => {
  const at = position * width + 2 * j;
  const [a, b] = [matrix[at], matrix[at + 1]].map((v) => (r / limit) * v);
  return kind === "rotary" ? [b, a] : [a, b];
};

const handTo = ([x, y], dot) => {
  const half = (by) => `a${dot},${dot} 0 1 0 ${by},0`;
  return `M0,0L${x.toFixed(2)},${(-y).toFixed(2)}m${-dot},0${half(2 * dot)}${half(-2 * dot)}`;
};

const drawBack = (back, [x, y], look, omega) => {
  if (!look) {
    back.removeAttribute("d");
    return;
  }
  const [cos, sin] = [Math.cos(look * omega), Math.sin(look * omega)];
  const tip = [x * cos - y * sin, -y * cos - x * sin].map((v) => v.toFixed(2));
  back.setAttribute("d", `M0,0L${tip}`);
};

const describeClocks = (pairs, { encoding, position }, { omega }, isMissing) => {
  if (isMissing) return `No hands: the learned table has no row for position ${position}`;
  if (encoding === "learned") {
    const what = `${pairs} pairs of the learned row of position ${position}`;
    return `${what}, drawn as hands of different lengths`;
  }
  const [fast, slow] = [fixed(position / TAU), fixed((position * omega.at(-1)) / TAU, 4)];
  return (
    `${pairs} clock hands at position ${position}. ` +
    `The fastest has made ${fast} turns, the slowest ${slow}.`
  );
};

export const counterPanel = () => {
  const digits = Array.from({ length: 7 }, () => element("span", { className: "aw-digit" }));
  const label = element("span", { textContent: "the same in binary, fastest digit first" });
  const row = element("span", { className: "aw-digits" }, ...digits);
  return {
    node: element("p", { className: "aw-counter" }, label, row),
    draw(position) {
      digits.forEach((digit, k) => {
        const bit = (position >> k) & 1;
        digit.textContent = bit;
        digit.classList.toggle("aw-one", bit === 1);
      });
    },
  };
};
