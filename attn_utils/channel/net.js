import { clamp, fixed, setAll, svg } from "../widgets/kit/dom.js";
import { CHANNELS, weightsOf } from "./compute.js";

// The block as a net: bars for the means, lines with the weights, bars for hidden units and gates.
const WIDTH = 800;
const HEIGHT = 290;
const BAR = 44; // width of a bar
const MEAN = { base: 66, high: 40, most: 0.6, from: 70 };
const UNIT = { top: 129, high: 24, to: 129, from: 153 };
const GATE = { base: 282, high: 46, most: 1, to: 212 };

const across = (c) => 50 + 100 * c;
const acrossUnits = (h, count) => (WIDTH * (h + 0.5)) / count;

// A bar in its slot, with its number above.
const bar = (className, at, { base, high, most }) => {
  const x = at - BAR / 2;
  const slot = svg("rect", { class: "aw-slot", x, y: base - high, width: BAR, height: high });
  const fill = svg("rect", { class: className, x, width: BAR, y: base, height: 0 });
  const text = svg("text", { x: at, y: base - high - 5 });
  return {
    parts: [slot, fill, text],
    draw(value) {
      const part = clamp(value / most, 0, 1) * high;
      setAll(fill, { y: base - part, height: part });
      text.textContent = fixed(value);
    },
  };
};

const bars = (node, className, form) =>
  Array.from({ length: CHANNELS }, (_, c) => {
    const made = bar(className, across(c), form);
    node.append(...made.parts);
    return made;
  });

// One wire: where it runs, its weight, which channel or unit it leaves and reaches, in which layer
// (0: ECA's only one; 1: from the means to the hidden units; 2: from there to the gates).
const wiresOfECA = ([kernel]) => {
  const half = kernel.length >> 1;
  return kernel
    .flatMap((weight, j) =>
      Array.from({ length: CHANNELS }, (_, c) => {
        const [x1, x2] = [across(c + j - half), across(c)];
        const ends = { x1, y1: MEAN.from, x2, y2: GATE.to };
        return { ends, weight, from: c + j - half, to: c, layer: 0 };
      }),
    )
    .filter(({ from }) => from >= 0 && from < CHANNELS);
};

const wiresOfSE = ([first, second], count) =>
  Array.from({ length: count * CHANNELS }, (_, k) => {
    const [h, c] = [Math.floor(k / CHANNELS), k % CHANNELS];
    const [channel, unit] = [across(c), acrossUnits(h, count)];
    const [down, on] = [
      { x1: channel, y1: MEAN.from, x2: unit, y2: UNIT.to },
      { x1: unit, y1: UNIT.from, x2: channel, y2: GATE.to },
    ];
    return [
      { ends: down, weight: first[k], from: c, to: h, layer: 1 },
      { ends: on, weight: second[k], from: h, to: c, layer: 2 },
    ];
  }).flat();

const lineOf = ({ ends, weight }, top) =>
  svg("line", {
    class: `aw-wire${weight < 0 ? " aw-minus" : ""}`,
    ...ends,
    "stroke-width": Math.max(0.4, (6 * Math.abs(weight)) / top),
  });

// A hidden unit, as a bar from left to right.
const unitBar = (h, count) => {
  const form = { x: acrossUnits(h, count) - BAR / 2, y: UNIT.top, height: UNIT.high };
  const fill = svg("rect", { class: "aw-unit", width: 0, ...form });
  const slot = svg("rect", { class: "aw-slot", width: BAR, ...form });
  slot.setAttribute("style", "fill: var(--aw-paper)");
  return { slot, fill };
};

const WIRES = { SE: wiresOfSE, ECA: wiresOfECA, none: () => [] };

const rebuild = (net, state, count) => {
  const weights = weightsOf(state);
  const made = WIRES[state.block](weights, count);
  const top = Math.max(1, ...weights.flat().map(Math.abs));
  net.wires = made.map((wire) => ({ ...wire, line: lineOf(wire, top) }));
  net.wireGroup.replaceChildren(...net.wires.map(({ line }) => line));
  net.units = Array.from({ length: count }, (_, h) => unitBar(h, count));
  net.unitGroup.replaceChildren(...net.units.flatMap(({ slot, fill }) => [slot, fill]));
};

// What leads to the chosen channel's gate stands out; a unit that is 0 passes nothing on.
const opacityOf = ({ from, to, layer }, hidden, chosen) => {
  const live = layer === 0 || hidden[layer === 2 ? from : to] > 0;
  if (layer === 1) return live ? 0.45 : 0.07;
  if (!live) return 0.05;
  return to === chosen ? 0.95 : 0.2;
};

const inWords = ({ means, hidden, gates }) => {
  const list = (values) => Array.from(values, (v) => fixed(v)).join(", ");
  const positive = hidden.filter((v) => v > 0).length;
  const units = hidden.length ? `${hidden.length} hidden units, ${positive} of them above 0. ` : "";
  const open = Array.from(gates, (gate, c) => (gate >= 0.5 ? c + 1 : 0)).filter(Boolean);
  const which = open.length ? `Open: channel ${open.join(", ")}` : "None is open";
  return `Means ${list(means)}. ${units}Gates ${list(gates)}. ${which}.`;
};

export const netOf = () => {
  const wireGroup = svg("g");
  const unitGroup = svg("g");
  const column = svg("rect", { class: "aw-column", y: 0, height: HEIGHT, width: 100 });
  const viewBox = `0 0 ${WIDTH} ${HEIGHT}`;
  const node = svg("svg", { viewBox, class: "aw-net", role: "img", "data-export": "" });
  node.append(column, wireGroup);
  const [means, gates] = [bars(node, "aw-mean", MEAN), bars(node, "aw-gate", GATE)];
  node.append(unitGroup);
  const net = { wireGroup, unitGroup, wires: [], units: [], built: "" };
  return {
    node,
    // `state` as compute takes it, `now` as it answers
    draw(state, now, chosen) {
      const key = [state.block, state.reduction, state.kernel].join(" ");
      if (key !== net.built) rebuild(net, state, now.hidden.length);
      net.built = key;
      for (const [c, made] of means.entries()) made.draw(now.means[c]);
      for (const [c, made] of gates.entries()) made.draw(now.gates[c]);
      const most = Math.max(1, ...now.hidden);
      for (const [h, { fill }] of net.units.entries())
        fill.setAttribute("width", (BAR * now.hidden[h]) / most);
      setAll(column, { x: across(chosen) - 50 });
      for (const wire of net.wires) wire.line.style.opacity = opacityOf(wire, now.hidden, chosen);
      node.setAttribute("aria-label", inWords(now));
    },
  };
};
