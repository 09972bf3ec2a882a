import { field, select, toggle } from "../widgets/kit/controls.js";
import { clamp, element, freshId, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { draggable, plane } from "../widgets/kit/plot.js";

// The cost calculator: operations, bytes and memory of a transformer block, from formulas in n.
const PARTS = ["projections", "scores", "softmax", "weighted sum", "output", "MLP"];
const ITEMSIZE = { float32: 4, bfloat16: 2, float16: 2 };
const GIB = 2 ** 30;

// ---- the arithmetic (CostCalculator.reference computes the same in Python)

// Everything for one sequence; the batch multiplies it, except for the weights of the layers.
const flopsOf = ({ D, H, causal }, n) => {
  const pairs = causal ? (n * (n + 1)) / 2 : n * n;
  return [6 * n * D * D, 2 * pairs * D, 5 * H * pairs, 2 * pairs * D, 2 * n * D * D, 16 * n * D * D];
};
const movedOf = ({ D, H, B, size, fused }, n) => {
  const [tokens, matrix] = [B * n * D, fused ? 0 : B * H * n * n];
  const numbers = [6 * tokens + 3 * D * D, 2 * tokens + matrix, 2 * matrix, matrix + 2 * tokens, 2 * tokens + D * D, 10 * tokens + 8 * D * D];
  return numbers.map((count) => count * size);
};
const peakOf = ({ D, H, B, size }, n, fused) => {
  const [tokens, matrix] = [n * D, H * n * n];
  return B * size * (3 * tokens + (fused ? tokens + H * n : Math.max(2 * matrix, matrix + tokens)));
};
// The largest n for which `holds(n)`: true up to some n, false beyond. 0 if never.
const lastThat = (holds) => {
  let [low, high] = [0, 2 ** 40];
  while (low < high) {
    const middle = Math.floor((low + high + 1) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
};
const sum = (values) => values.reduce((a, b) => a + b, 0);
const costsOf = (w) => {
  const [n, D, chosen, B, precision, kernel, causal, memory] =
    ["n", "width", "num_heads", "batch", "precision", "kernel", "is_causal", "memory"].map(w.get).map((v, i) => (i < 4 ? Math.round(v) : v));
  let H = Math.min(D, chosen);
  while (D % H) H--;
  const layer = { D, H, B, causal, size: ITEMSIZE[precision], fused: kernel === "fused" };
  const budget = Math.floor(memory * GIB);
  const crossings = [
    1 + lastThat((m) => ((f) => f[1] + f[3] < f[0] + f[4])(flopsOf(layer, m || 1))),
    1 + lastThat((m) => ((f) => sum(f) <= 2 * f[5])(flopsOf(layer, m || 1))),
    ...[false, true].map((fused) => lastThat((m) => peakOf(layer, m, fused) <= budget)),
  ];
  return {
    ...layer, n, chosen, memory, kernel, precision, crossings,
    flops: flopsOf(layer, n).map((f) => f * B), moved: movedOf(layer, n),
    peak: [false, true].map((fused) => peakOf(layer, n, fused)),
    at: (m) => ({ flops: flopsOf(layer, m).map((f) => f * B), peak: [false, true].map((fused) => peakOf(layer, m, fused)) }),
  };
};

// ---- words

const grouped = (v) => Math.round(v).toLocaleString("en-GB");
const short = (v, base, units) => {
  let k = 0;
  while (v >= base && k < units.length - 1) [v, k] = [v / base, k + 1];
  return `${v >= 100 || (k === 0 && v === Math.round(v)) ? v.toFixed(0) : v.toPrecision(3)} ${units[k]}`;
};
const inFlop = (v) => short(v, 1000, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"]);
const inBytes = (v) => short(v, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]);
const inTokens = (v) => (v < 1000 ? String(v) : v < 1e6 ? `${v / 1000}k` : `${v / 1e6}M`);
const superscript = (v) => [...String(v)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("");

// ---- controls of its own: a number to type, and a list of usual sizes

const numberField = (w, name) => {
  const { min, max, label } = w.spec(name);
  const input = element("input", { type: "number", id: freshId(), min, max, step: 1, inputMode: "numeric" });
  const read = () => (input.value.trim() === "" ? w.get(name) : Math.round(Number(input.value)));
  w.show(name, (value) => {
    if (Number(input.value) !== value) input.value = value;
  });
  input.addEventListener("input", () => {
    if (read() >= min && read() <= max) w.set(name, read());
  });
  input.addEventListener("change", () => {
    w.set(name, clamp(read(), min, max));
    input.value = w.get(name);
    w.commit();
  });
  return field(label, input);
};
const stopList = (w, name, stops) => {
  const input = element("select", { id: freshId() });
  w.show(name, (value) => {
    const all = [...new Set([...stops, value])].sort((a, b) => a - b); // Python may have set any number
    input.replaceChildren(...all.map((v) => element("option", { value: v, textContent: grouped(v) })));
    input.value = value;
  });
  input.addEventListener("change", () => {
    w.set(name, Number(input.value));
    w.commit();
  });
  return field(w.spec(name).label, input);
};

// ---- the panels: each returns {node, draw(now)}

const meter = () => {
  const fill = element("span", { className: "aw-fill" });
  return { fill, groove: element("span", { className: "aw-groove", ariaHidden: "true" }, fill) };
};
const partTable = () => {
  const rows = PARTS.map((name) => {
    const cells = [meter(), meter()].map((m) => ({ ...m, number: element("span") }));
    const ratio = element("td", { className: "aw-ratio" });
    const node = element("tr", {}, element("th", { scope: "row", textContent: name }),
      ...cells.map(({ number, groove }, i) => element("td", { className: i ? "aw-moved" : "aw-flops" }, number, groove)), ratio);
    return { node, cells, ratio };
  });
  const totals = [0, 1, 2].map(() => element("td"));
  const head = ["part", "operations", "bytes moved", "FLOP per byte"].map((textContent) => element("th", { scope: "col", textContent }));
  const perByte = (flops, bytes) => (bytes ? (flops / bytes).toPrecision(2).replace(/^(\d+)e\+(\d+)$|^.*e.*$/, () => grouped(flops / bytes)) : "–");
  return {
    node: element("table", { className: "aw-parts" }, element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...rows.map((r) => r.node), element("tr", { className: "aw-total" }, element("th", { scope: "row", textContent: "together" }), ...totals))),
    draw(now) {
      const both = [now.flops, now.moved];
      const tops = both.map((values) => Math.max(...values));
      rows.forEach(({ cells, ratio }, i) => {
        cells.forEach(({ fill, number }, side) => {
          fill.style.width = `${(100 * both[side][i]) / tops[side]}%`;
          number.textContent = (side ? inBytes : inFlop)(both[side][i]);
        });
        ratio.textContent = perByte(now.flops[i], now.moved[i]);
      });
      const [flops, bytes] = both.map(sum);
      [inFlop(flops), inBytes(bytes), perByte(flops, bytes)].forEach((text, i) => (totals[i].textContent = text));
    },
  };
};

const memoryBars = () => {
  const rows = ["explicit", "fused"].map((name) => {
    const [m, words] = [meter(), element("span", { className: "aw-number" })];
    return { ...m, words, node: element("li", {}, element("span", { textContent: name }), m.groove, words) };
  });
  const caption = element("p", { className: "aw-hint" });
  return {
    node: element("div", { className: "aw-memory" }, caption, element("ul", {}, ...rows.map((r) => r.node))),
    draw(now) {
      caption.textContent = `Memory of q, k, v and the attention between them, of ${grouped(now.memory)} GiB:`;
      rows.forEach(({ node, fill, words }, i) => {
        const share = now.peak[i] / (now.memory * GIB);
        fill.style.width = `${100 * Math.min(1, share)}%`;
        node.classList.toggle("aw-over", share > 1);
        node.classList.toggle("aw-chosen", now.fused === Boolean(i));
        words.textContent = `${inBytes(now.peak[i])}${share > 1 ? ", does not fit" : ""}`;
      });
    },
  };
};

// Curves against n on logarithmic axes (y is a logarithm already), with n to drag.
const curvePanel = (w, state, { caption, label, names, ylabel, values, log, yformat, device, describe }) => {
  const { min, max } = w.spec("n");
  const ns = Array.from({ length: 81 }, (_, i) => min * (max / min) ** (i / 80));
  const height = 250;
  const plot = plane(w, { width: 400, height, x: [min, max], y: [0, 1], xlog: true, xlabel: "tokens n", ylabel, label, xformat: inTokens, yformat });
  const limit = device ? plot.ink.appendChild(svg("path", { class: "aw-device" })) : null;
  const lines = names.map((name, i) => plot.line(`aw-curve-${device && i === 1 ? 0 : device ? 1 : i}`));
  const dots = names.map(() => svg("circle", { class: "aw-dot", r: 4 }));
  const [top, bottom] = [10, height - 38];
  const marker = svg("g", { class: "aw-n-mark" }, svg("rect", { class: "aw-reach", x: -14, y: top, width: 28, height: bottom - top }), svg("line", { y1: top, y2: bottom }), ...dots);
  plot.handles.append(marker);
  const put = (n) => w.set("n", clamp(Math.round(n), min, max));
  const handle = draggable(w, plot, marker, {
    move: (x) => put(Number(x.toPrecision(3))),
    nudge: (dx, dy) => {
      const [n, steps] = [w.get("n"), dx + dy];
      put(steps > 0 ? Math.max(n + 1, n * 1.01 ** steps) : Math.min(n - 1, n * 1.01 ** steps));
    },
    describe: () => ({ name: label, value: w.get("n"), min, max, text: `${grouped(w.get("n"))} tokens: ${describe(state())}` }),
  });
  const key = names.map((name, i) => element("span", { className: `aw-key-${device && i === 1 ? 0 : device ? 1 : i}`, textContent: name }));
  if (device) key.push(element("span", { className: "aw-key-device", textContent: "device" }));
  return {
    node: element("figure", { className: "aw-cost-figure" }, element("figcaption", { textContent: caption }), element("div", { className: "aw-key-list", ariaHidden: "true" }, ...key), plot.node),
    draw(now) {
      const columns = ns.map((n) => values(now.at(n)).map(log));
      const level = device ? [log(now.memory * GIB)] : [];
      const all = [...columns[0], ...columns.at(-1), ...level];
      plot.setY([Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))]);
      lines.forEach((line, i) => line.setAttribute("d", plot.path(ns, columns.map((c) => c[i]))));
      limit?.setAttribute("d", plot.path([min, max], [level[0], level[0]]));
      marker.setAttribute("transform", `translate(${plot.px(now.n).toFixed(1)} 0)`);
      values(now).forEach((v, i) => dots[i].setAttribute("cy", plot.py(log(v)).toFixed(1)));
    },
    announce: handle.announce,
  };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  let now = costsOf(w);
  const state = () => now;
  const stops = new Map(model.get("_stops"));
  w.controls.append(numberField(w, "n"), ...["width", "num_heads", "batch"].map((name) => stopList(w, name, stops.get(name))),
    select(w, "precision"), select(w, "kernel"), toggle(w, "is_causal"), stopList(w, "memory", stops.get("memory")));

  const lumped = ({ flops: f }) => [f[0] + f[4], f[1] + f[2] + f[3], f[5]];
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  const panels = [
    partTable(),
    memoryBars(),
    curvePanel(w, state, { caption: "Operations against the number of tokens", label: "tokens, on the curves of operations", names: ["projections", "pairs", "MLP"],
      ylabel: "FLOP", values: lumped, log: Math.log10, yformat: (v) => `10${superscript(v)}`,
      describe: (c) => ["projections", "pairs", "MLP"].map((name, i) => `${name} ${inFlop(lumped(c)[i])}`).join(", ") }),
    curvePanel(w, state, { caption: "Memory of the attention", label: "tokens, on the curves of memory", names: ["explicit", "fused"], device: true,
      ylabel: "", values: ({ peak }) => peak, log: Math.log2, yformat: (v) => `${2 ** (v % 10)} ${units[Math.floor(v / 10)] ?? ""}`,
      describe: (c) => `explicit ${inBytes(c.peak[0])}, fused ${inBytes(c.peak[1])}` }),
  ];
  const words = element("p", { className: "aw-hint aw-words" });
  w.stage.append(...panels.map((panel) => panel.node), words);

  const fits = (kernel) => () => {
    const limit = now.crossings[kernel === "fused" ? 3 : 2];
    return now.memory === 24 && now.kernel === kernel && now.n <= limit && now.n >= 0.98 * limit;
  };
  w.goals([
    { text: "Find the n at which scores and weighted sum cost as much as the four projections, within 2 %.", reached: () => Math.abs((now.flops[1] + now.flops[3]) / (now.flops[0] + now.flops[4]) - 1) <= 0.02 },
    { text: "Device memory 24 GiB, explicit: find the largest n that fits, within 2 %.", reached: fits("explicit") },
    { text: "The same with fused attention (a larger batch brings the limit onto the axis).", reached: fits("fused") },
    { text: "Let the softmax move at least 40 % of all bytes with less than 2 % of the operations.", reached: () => now.moved[2] >= 0.4 * sum(now.moved) && now.flops[2] < 0.02 * sum(now.flops) },
  ]);
  let resting;
  const draw = () => {
    now = costsOf(w);
    for (const panel of panels) panel.draw(now);
    const [projections, mlp, explicit, fused] = now.crossings.map(grouped);
    words.textContent = `Scores and weighted sum cost as much as the four projections from n = ${projections} on, the attention more than the MLP from n = ${mlp} on. `
      + `Explicit attention fits up to n = ${explicit}, fused up to n = ${fused}.`
      + (now.H === now.chosen ? "" : ` ${now.chosen} heads do not divide ${grouped(now.D)}: counted with ${now.H}.`);
    clearTimeout(resting);
    resting = setTimeout(() => panels.forEach((panel) => panel.announce?.()), 200); // spoken once things rest
  };
  w.begin(draw, () => ({
    flops: now.flops.map((v) => v / 1e9), moved: now.moved.map((v) => v / 2 ** 20),
    peak: now.peak.map((v) => v / GIB), crossings: now.crossings,
  }));
  // a link may say 100.5 tokens, which Python would refuse
  for (const name of ["n", "width", "num_heads", "batch"]) if (!Number.isInteger(w.get(name))) w.set(name, Math.round(w.get(name)));
}
export default { render: onceShown(render) };
