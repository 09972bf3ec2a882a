// The heads as coloured lines between two rows of names, queries and keys; on a phone two columns.
import { clamp, setAll, svg } from "../widgets/kit/dom.js";

const DASHES = ["", "9 5", "2 4", "12 4 2 4"]; // a second sign beside the colour
const dashOf = (h) => DASHES[h % DASHES.length];
const coloured = (shape, property, h) => {
  shape.style[property] = `var(--aw-head-${h})`;
  return shape;
};

export const swatch = (h) => {
  const stroke = { "stroke-width": 5, "stroke-dasharray": dashOf(h) };
  const line = coloured(svg("line", { x1: 1, y1: 7, x2: 37, y2: 7, ...stroke }), "stroke", h);
  const size = { viewBox: "0 0 38 14", width: 38, height: 14 };
  return svg("svg", { ...size, "aria-hidden": "true", class: "aw-swatch" }, line);
};

// Where everything is, in `room` pixels of width. A side is 0 for queries, 1 for keys.
const layoutOf = ({ H, T, S, tokens, queries }, room) => {
  const upright = room < 520;
  const most = Math.max(T, S);
  const [pitch, gap] = upright ? [34, room] : [room / most, 215];
  const longest = Math.max(...[...tokens, ...queries].flat().map((name) => name.length));
  const size = clamp((upright ? 0.36 * room : pitch) / (0.62 * longest + 0.8), 7, 13.5);
  const card = Math.min(longest * size * 0.62 + 12, upright ? 0.38 * room : pitch - 4);
  const along = (i, side) =>
    upright ? (i + 0.5) * pitch + 24 : ((i + 0.5) * room) / (side ? S : T);
  return {
    upright,
    size,
    card,
    width: room,
    height: upright ? most * pitch + 26 : gap + 74,
    middle(i, side) {
      if (upright) return [side ? room - card / 2 - 1 : card / 2 + 1, along(i, side)];
      return [along(i, side), side ? gap + 42 : 31];
    },
    // Where the line of head h leaves a card: side by side, so that heads do not cover each other.
    end(i, side, h) {
      const at = along(i, side) + (h - (H - 1) / 2) * Math.min(5, card / (H + 1));
      return upright ? [side ? room - card - 2 : card + 2, at] : [at, side ? gap + 29 : 45];
    },
  };
};

const sideLabel = ({ upright, width, height }, side, text) => {
  const place = upright
    ? { x: side ? width - 2 : 2, y: 13, "text-anchor": side ? "end" : "start" }
    : { x: width / 2, y: side ? height - 4 : 11, "text-anchor": "middle" };
  return svg("text", { ...place, class: "aw-side" }, text);
};

const cardOf = ({ size, card, middle }, i, side) => {
  const [cx, cy] = middle(i, side);
  const box = svg("rect", { x: cx - card / 2, y: cy - 13, width: card, height: 26, rx: 6 });
  const place = { x: cx, y: cy + size / 3, "text-anchor": "middle", "font-size": size };
  const text = svg("text", place);
  return { text, group: svg("g", { class: side ? "aw-key" : "aw-query" }, box, text) };
};

// A pointer over a card shows its lines for as long as it stays; a click or a tap chooses it.
const askBy = (group, i, { point, choose }) => {
  group.addEventListener("pointerenter", (event) => {
    if (event.pointerType === "mouse") point(i);
  });
  group.addEventListener("pointerleave", () => point(-1));
  group.addEventListener("click", () => choose(i));
};

// What stands on a head's lines: the number in its name, its initial beside such, or its position.
export const badgesOf = (names) => {
  const numbers = names.map((name) => name.match(/\d+$/)?.[0]);
  const isNumbered = numbers.some(Boolean);
  return numbers.map((number, h) => number ?? (isNumbered ? names[h][0] : String(h + 1)));
};

// Its lines from the chosen query, a number on each strong one, and one path for all other queries.
const headInk = (h, S, badge) => {
  const mark = () => {
    const disc = coloured(svg("circle", { r: 8 }), "fill", h);
    return svg("g", {}, disc, svg("text", { y: 4, "text-anchor": "middle" }, badge));
  };
  const line = () => coloured(svg("line", { "stroke-dasharray": dashOf(h) }), "stroke", h);
  return {
    others: coloured(svg("path"), "stroke", h),
    lines: Array.from({ length: S }, line),
    marks: Array.from({ length: S }, mark),
  };
};

export const linePanel = (data, room, ways) => {
  const layout = layoutOf(data, room);
  const { width, height } = layout;
  const cards = [data.T, data.S].map((count, side) =>
    Array.from({ length: count }, (_, i) => cardOf(layout, i, side)),
  );
  cards[0].forEach(({ group }, i) => {
    askBy(group, i, ways);
  });
  const heads = badgesOf(data.heads).map((badge, h) => headInk(h, data.S, badge));
  const node = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "aw-lines" },
    svg("g", { class: "aw-faint" }, ...heads.map((head) => head.others)),
    svg("g", { class: "aw-strong" }, ...heads.flatMap((head) => head.lines)),
    svg("g", { class: "aw-badges" }, ...heads.flatMap((head) => head.marks)),
    svg("g", { class: "aw-cards" }, ...cards.flat().map((card) => card.group)),
    sideLabel(layout, 0, "Queries: who asks"),
    sideLabel(layout, 1, "Keys: who is looked at"),
  );
  node.dataset.export = "";
  return {
    node,
    draw(shown) {
      nameCards(cards, data, shown);
      heads.forEach((head, h) => {
        drawOthers(head, h, data, layout, shown);
        drawChosen(head, h, data, layout, shown);
      });
    },
  };
};

const nameCards = (cards, data, { example, query }) => {
  const rows = [data.queries[example], data.tokens[example]];
  cards.forEach((row, side) => {
    row.forEach(({ group, text }, i) => {
      const isAsked = !side && i === data.asked[example];
      text.textContent = rows[side][i] + (isAsked ? " ?" : "");
      group.classList.toggle("aw-chosen", !side && i === query);
    });
  });
};

const drawOthers = ({ others }, h, data, { end }, { example, query, faders, shown }) => {
  const { H, T, S, weights } = data;
  const base = (example * H + h) * T * S;
  const isOn = shown[h] > 0 && faders[h] > 0;
  const point = (i, side) => end(i, side, h).map((v) => v.toFixed(1));
  let path = "";
  for (let t = 0; t < T && isOn; t++)
    for (let s = 0; s < S; s++)
      if (t !== query && weights[base + t * S + s] > 0.3) path += `M${point(t, 0)}L${point(s, 1)}`;
  others.setAttribute("d", path);
};

const drawChosen = ({ lines, marks }, h, data, { end }, { example, query, faders, shown }) => {
  const { H, T, S, weights } = data;
  const row = ((example * H + h) * T + query) * S;
  const far = 0.62 + 0.3 * ((h + 0.5) / H); // each head's number has a height of its own
  lines.forEach((line, s) => {
    const weight = weights[row + s];
    const strength = weight * faders[h];
    const visible = shown[h] > 0 && strength > 0.01;
    line.style.display = visible ? "" : "none";
    marks[s].style.display = visible && weight >= 0.25 ? "" : "none";
    if (!visible) return;
    const [[x1, y1], [x2, y2]] = [end(query, 0, h), end(s, 1, h)];
    setAll(line, { x1, y1, x2, y2, "stroke-width": 0.6 + 7 * strength });
    const place = `translate(${x1 + far * (x2 - x1)} ${y1 + far * (y2 - y1)})`;
    marks[s].setAttribute("transform", place);
  });
};
