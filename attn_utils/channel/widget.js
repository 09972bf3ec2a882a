import { button, select, slider } from "../widgets/kit/controls.js";
import { clamp, element, fixed, holdTouch, setAll, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";

// The gate lab: eight channels to paint on, the block as a net of lines, the gates, what is let through.
const CHANNELS = 8;
const SIDE = 8;
const PIXELS = SIDE * SIDE;

// Everything a state leads to; in double precision, so that it equals torch's.
const gatesOf = (w, image) => {
  const block = w.get("block");
  const means = Float64Array.from({ length: CHANNELS }, (_, c) => {
    let sum = 0;
    for (let p = c * PIXELS; p < (c + 1) * PIXELS; p++) sum += image[p];
    return sum / PIXELS;
  });
  const sigmoid = (v) => 1 / (1 + Math.exp(-v));
  if (block === "none") return { means, hidden: [], gates: new Float64Array(CHANNELS).fill(1), first: [], second: [] };
  if (block === "ECA") {
    const kernel = new Map(w.model.get("_eca")).get(w.get("kernel"));
    const half = kernel.length >> 1;
    const gates = means.map((_, c) => sigmoid(kernel.reduce((sum, weight, j) => sum + weight * (means[c + j - half] ?? 0), 0)));
    return { means, hidden: [], gates, first: kernel, second: [] };
  }
  // both matrices with a line of eight numbers for each hidden unit
  const [first, second] = new Map(w.model.get("_se")).get(w.get("reduction"));
  const hidden = Float64Array.from({ length: first.length / CHANNELS }, (_, h) => {
    let sum = 0;
    for (let c = 0; c < CHANNELS; c++) sum += first[h * CHANNELS + c] * means[c];
    return Math.max(0, sum);
  });
  const gates = means.map((_, c) => sigmoid(hidden.reduce((sum, unit, h) => sum + unit * second[h * CHANNELS + c], 0)));
  return { means, hidden, gates, first, second };
};

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

// The block as a net: bars for the means, lines with the weights, bars for the hidden units and gates.
const netOf = () => {
  const [width, height] = [800, 290];
  const x = (c) => 50 + 100 * c;
  const unit = (h, count) => (width * (h + 0.5)) / count;
  const wires = svg("g");
  const column = svg("rect", { class: "aw-column", y: 0, height, width: 100 });
  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "aw-net", role: "img", "data-export": "" }, column, wires);
  const bar = (className, at, base, high) => {
    const slot = svg("rect", { class: "aw-slot", x: at - 22, y: base - high, width: 44, height: high });
    const fill = svg("rect", { class: className, x: at - 22, width: 44, y: base, height: 0 });
    const text = svg("text", { x: at, y: base - high - 5 });
    node.append(slot, fill, text);
    return (value, top, words) => {
      const part = clamp(value / top, 0, 1) * high;
      setAll(fill, { y: base - part, height: part });
      text.textContent = words;
    };
  };
  const means = Array.from({ length: CHANNELS }, (_, c) => bar("aw-mean", x(c), 66, 40));
  const gates = Array.from({ length: CHANNELS }, (_, c) => bar("aw-gate", x(c), 282, 46));
  const units = svg("g");
  node.append(units);
  let built = "";
  let lines = [];
  let knobs = [];
  const wire = (x1, y1, x2, y2, weight, top, from, to, layer) => {
    const line = svg("line", { class: `aw-wire${weight < 0 ? " aw-minus" : ""}`, x1, y1, x2, y2, "stroke-width": Math.max(0.4, (6 * Math.abs(weight)) / top) });
    wires.append(line);
    lines.push({ line, weight, from, to, layer });
  };
  const build = ({ first, second, hidden }, se) => {
    wires.replaceChildren();
    units.replaceChildren();
    [lines, knobs] = [[], []];
    const top = Math.max(1, ...[...first, ...second].map(Math.abs));
    const half = first.length >> 1;
    if (!se) {
      first.forEach((weight, j) => {
        for (let c = 0; c < CHANNELS; c++) if (c + j - half >= 0 && c + j - half < CHANNELS) wire(x(c + j - half), 70, x(c), 212, weight, top, c + j - half, c, 0);
      });
      return;
    }
    for (let h = 0; h < hidden.length; h++) {
      for (let c = 0; c < CHANNELS; c++) {
        wire(x(c), 70, unit(h, hidden.length), 129, first[h * CHANNELS + c], top, c, h, 1);
        wire(unit(h, hidden.length), 153, x(c), 212, second[h * CHANNELS + c], top, h, c, 2);
      }
      const at = unit(h, hidden.length);
      const fill = svg("rect", { class: "aw-unit", x: at - 22, y: 129, width: 0, height: 24 });
      units.append(svg("rect", { class: "aw-slot", x: at - 22, y: 129, width: 44, height: 24, style: "fill: var(--aw-paper)" }), fill);
      knobs.push(fill);
    }
  };
  return {
    node,
    draw(now, key, chosen) {
      if (key !== built) build(now, now.hidden.length > 0);
      built = key;
      const { means: z, hidden, gates: s } = now;
      z.forEach((value, c) => means[c](value, 0.6, fixed(value)));
      s.forEach((value, c) => gates[c](value, 1, fixed(value)));
      const most = Math.max(1, ...hidden);
      knobs.forEach((fill, h) => fill.setAttribute("width", (44 * hidden[h]) / most));
      setAll(column, { x: x(chosen) - 50 });
      // What leads to the chosen channel's gate stands out; a unit that is 0 passes nothing on.
      for (const { line, from, to, layer } of lines) {
        const live = layer === 2 ? hidden[from] > 0 : layer === 1 ? hidden[to] > 0 : true;
        const mine = layer === 1 ? live : to === chosen && live;
        line.style.opacity = layer === 1 ? (live ? 0.45 : 0.07) : mine ? 0.95 : live ? 0.2 : 0.05;
      }
      const open = Array.from(s).map((value, c) => (value >= 0.5 ? c + 1 : 0)).filter(Boolean);
      node.setAttribute("aria-label", `Means ${Array.from(z, (v) => fixed(v)).join(", ")}. ${hidden.length ? `${hidden.length} hidden units, ${Array.from(hidden).filter((v) => v > 0).length} of them above 0. ` : ""}Gates ${Array.from(s, (v) => fixed(v)).join(", ")}. ${open.length ? `Open: channel ${open.join(", ")}` : "None is open"}.`);
    },
  };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const start = model.get("_start");
  const legal = (pixels) => (/^[0-9a-f]{512}$/.test(pixels) ? pixels : start); // a link can say anything
  const level = (figure) => parseInt(figure, 16) / 15;
  const place = () => Math.round(w.get("where")) - 1;
  const patchOf = (c, where = place()) => (c - where + CHANNELS) % CHANNELS; // the ring: patch 0 is the digit
  const imageOf = (pixels) => {
    const image = new Float64Array(CHANNELS * PIXELS);
    for (let c = 0; c < CHANNELS; c++) for (let p = 0; p < PIXELS; p++) image[c * PIXELS + p] = level(pixels[patchOf(c) * PIXELS + p]) * w.get("volumes")[c];
    return image;
  };
  let chosen = place();
  let image = imageOf(legal(w.get("pixels")));
  let now = gatesOf(w, image);
  const compute = () => {
    image = imageOf(legal(w.get("pixels")));
    now = gatesOf(w, image);
  };
  const story = (c) => `Channel ${c + 1}${c === place() ? ", the digit" : ""}: mean ${fixed(now.means[c])}, gate ${fixed(now.gates[c])}.`;
  const choose = (c, words = "") => {
    chosen = c;
    draw();
    w.say(words || story(c));
  };

  // ---- painting
  const write = (c, change) => {
    const pixels = w.get("pixels").split("");
    const from = patchOf(c) * PIXELS;
    const patch = pixels.slice(from, from + PIXELS);
    change(patch);
    pixels.splice(from, PIXELS, ...patch);
    w.set("pixels", pixels.join(""));
    compute();
  };
  const paint = (c, at, figure = Math.round(15 * w.get("brush")).toString(16)) => write(c, (patch) => (patch[at] = figure));
  const tile = (c) => {
    const { canvas, draw } = picture({ tabIndex: 0, role: "application" });
    canvas.setAttribute("aria-roledescription", "picture to paint on");
    const cursor = element("span", { className: "aw-cell" });
    let cell = [3, 3];
    let held = null;
    const show = () => {
      const [i, j] = cell;
      Object.assign(cursor.style, { left: `${(100 * j) / SIDE}%`, top: `${(100 * i) / SIDE}%`, width: `${100 / SIDE}%`, height: `${100 / SIDE}%` });
      canvas.setAttribute("aria-label", `Channel ${c + 1}. Row ${i + 1}, column ${j + 1}: ${fixed(image[c * PIXELS + i * SIDE + j])}. Arrow keys move, space paints, Delete erases.`);
    };
    const cellAt = (event) => {
      const area = canvas.getBoundingClientRect();
      const at = (v) => clamp(Math.floor(v * SIDE), 0, SIDE - 1);
      return [at((event.clientY - area.top) / area.height), at((event.clientX - area.left) / area.width)];
    };
    const here = () => cell[0] * SIDE + cell[1];
    holdTouch(canvas); // a finger paints and does not scroll
    canvas.addEventListener("pointerdown", (event) => {
      held = event.pointerId;
      canvas.setPointerCapture(held);
      canvas.focus({ preventScroll: true });
      event.preventDefault();
      cell = cellAt(event);
      paint(c, here());
      choose(c);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== held) return;
      const [i0, j0] = cell;
      const [i1, j1] = cellAt(event);
      const steps = Math.max(Math.abs(i1 - i0), Math.abs(j1 - j0));
      for (let s = 1; s <= steps; s++) { // a quick stroke leaves no gaps
        cell = [Math.round(i0 + ((i1 - i0) * s) / steps), Math.round(j0 + ((j1 - j0) * s) / steps)];
        paint(c, here());
      }
    });
    const release = (event) => {
      if (event.pointerId !== held) return;
      held = null;
      w.say(story(c));
      w.commit();
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("focus", () => chosen !== c && choose(c));
    canvas.addEventListener("keydown", (event) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      const erase = event.key === "Delete" || event.key === "Backspace";
      if (!move && !erase && event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (move) cell = [clamp(cell[0] + move[0], 0, SIDE - 1), clamp(cell[1] + move[1], 0, SIDE - 1)];
      if (!move || event.shiftKey) {
        paint(c, here(), erase ? "0" : undefined);
        w.commitSoon();
      }
      show();
      choose(c, `Row ${cell[0] + 1}, column ${cell[1] + 1}: ${fixed(image[c * PIXELS + here()])}. ${story(c)}`);
    });
    const volume = element("input", { type: "range", min: 0, max: 2, step: 0.05, ariaLabel: `volume of channel ${c + 1}` });
    volume.addEventListener("input", () => {
      const volumes = [...w.get("volumes")];
      volumes[c] = Number(volume.value);
      w.set("volumes", volumes);
      compute();
      choose(c);
    });
    volume.addEventListener("change", () => w.commit());
    const name = setAll(element("span", { className: "aw-tile-name", textContent: `channel ${c + 1}` }), { "data-export-text": "" });
    const node = element("div", { className: "aw-tile aw-paint" }, name, element("div", { className: "aw-tile-frame" }, canvas, cursor), volume);
    return {
      node,
      draw() {
        draw(image, c * PIXELS);
        volume.value = w.get("volumes")[c];
        volume.setAttribute("aria-valuetext", `${fixed(w.get("volumes")[c])} times`);
        node.classList.toggle("aw-chosen", c === chosen);
        show();
      },
    };
  };
  const tiles = Array.from({ length: CHANNELS }, (_, c) => tile(c));
  const results = Array.from({ length: CHANNELS }, () => picture({ role: "img" }));
  const net = netOf();
  const count = setAll(element("p", { className: "aw-count" }), { "data-export-text": "" });

  // ---- controls
  const [reduction, kernel] = [select(w, "reduction"), select(w, "kernel")];
  const shuffle = button("", () => {
    write(chosen, (patch) => {
      for (let at = PIXELS - 1; at > 0; at--) {
        const other = Math.floor(Math.random() * (at + 1));
        [patch[at], patch[other]] = [patch[other], patch[at]];
      }
    });
    choose(chosen, `The pixels of channel ${chosen + 1} have changed places. ${story(chosen)}`);
    w.commit();
  });
  const fill = button("", () => {
    write(chosen, (patch) => patch.fill(Math.round(15 * w.get("brush")).toString(16)));
    choose(chosen);
    w.commit();
  });
  w.controls.append(select(w, "block"), reduction, kernel, slider(w, "where", { format: (v) => v.toFixed(0) }), slider(w, "brush", { format: (v) => fixed(v, 1) }), shuffle, fill);
  const row = (label, ...nodes) => element("div", { className: "aw-tiles", role: "group", ariaLabel: label }, ...nodes);
  w.stage.append(
    row("The channels, to paint on, each with its volume", ...tiles.map((one) => one.node)),
    net.node,
    row("What the gates let through", ...results.map(({ canvas }) => element("div", { className: "aw-tile" }, element("div", { className: "aw-tile-frame" }, canvas)))),
    count,
    w.box.querySelector(".aw-status"),
    element("p", { className: "aw-hint", textContent: "Paint on a channel, or turn its volume up: either marks it. From top to bottom: the image x, the mean of each channel, the weights (orange above zero, blue below), the gates s, and s · x. What leads to the gate of the marked channel stands out." }),
  );

  // ---- goals
  const digitIsAsAtStart = () => w.get("pixels").slice(0, PIXELS) === start.slice(0, PIXELS) && Math.abs(w.get("volumes")[place()] - 1) < 1e-9;
  const gated = () => w.get("block") !== "none";
  w.goals([
    { text: "Fool a gate: open a channel that has no digit (gate at least 0.8).", reached: () => gated() && Array.from(now.gates).some((gate, c) => c !== place() && gate >= 0.8) },
    { text: "Close the digit’s gate (0.2 or less) without touching the digit or its volume.", reached: () => gated() && w.get("reduction") !== "8" && digitIsAsAtStart() && now.gates[place()] <= 0.2 },
    { text: "Change at least 20 pixels of the digit and move its gate by less than 0.01.", reached: () => {
      const pixels = w.get("pixels");
      const changed = Array.from(start.slice(0, PIXELS)).filter((figure, at) => figure !== pixels[at]).length;
      const before = gatesOf(w, imageOf(start.slice(0, PIXELS) + pixels.slice(PIXELS))).gates[place()];
      return gated() && changed >= 20 && now.gates[place()] >= 0.5 && Math.abs(now.gates[place()] - before) < 0.01;
    } },
    { text: "Leave the image as it is, and find a bottleneck so narrow that SE opens other channels as wide as the digit’s.", reached: () => w.get("block") === "SE" && w.get("pixels") === start && w.get("volumes").every((v) => v === 1) && Array.from(now.gates).some((gate, c) => c !== place() && gate >= now.gates[place()]) },
  ]);

  const words = () => {
    const r = Number(w.get("reduction"));
    if (w.get("block") === "none") return "No block: every gate is 1, and 0 parameters.";
    if (w.get("block") === "ECA") return `ECA with k = ${w.get("kernel")}: each gate sees ${w.get("kernel")} mean${w.get("kernel") === "1" ? "" : "s"}, ${w.get("kernel")} parameter${w.get("kernel") === "1" ? "" : "s"}.`;
    return `SE with r = ${r}: 8 means → ${CHANNELS / r} hidden → 8 gates, 2 · 8 · ${CHANNELS / r} = ${(2 * CHANNELS * CHANNELS) / r} parameters.`;
  };
  const draw = () => {
    compute();
    tiles.forEach((one) => one.draw());
    const output = image.map((value, p) => value * now.gates[Math.floor(p / PIXELS)]);
    results.forEach(({ canvas, draw: paintResult }, c) => {
      paintResult(output, c * PIXELS);
      canvas.setAttribute("aria-label", `Channel ${c + 1} times its gate ${fixed(now.gates[c])}`);
    });
    net.draw(now, `${w.get("block")} ${w.get("reduction")} ${w.get("kernel")}`, chosen);
    count.textContent = words();
    reduction.hidden = w.get("block") !== "SE";
    kernel.hidden = w.get("block") !== "ECA";
    shuffle.textContent = `Shuffle channel ${chosen + 1}`;
    fill.textContent = `Fill channel ${chosen + 1}`;
  };
  for (const name of ["block", "reduction", "kernel", "where"])
    model.on(`change:${name}`, () => {
      if (name === "where") chosen = place(); // the mark follows the digit
      compute();
      w.say(story(chosen));
    });
  w.begin(draw, () => {
    compute();
    return { means: now.means, hidden: now.hidden, gates: now.gates, output: image.map((value, p) => value * now.gates[Math.floor(p / PIXELS)]) };
  });
  if (w.get("pixels") !== legal(w.get("pixels"))) w.set("pixels", start);
  w.say(story(chosen));
}

export default { render: onceShown(render) };
