import { floatsOf } from "../widgets/kit/buffers.js";
import { select, slider } from "../widgets/kit/controls.js";
import { clamp, element, fixed } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { softmaxInto } from "../widgets/kit/math.js";
import { pythonLiteral } from "../widgets/kit/share.js";
import { colourRamp, cssColour, onThemeChange } from "../widgets/kit/theme.js";

// An image cut into patches: one patch asks, and a grid of the same shape shows whom it looks at.

// ---- the attention set by hand (hand_made_attention in vit.py computes the same in torch)
const REAL = 224;
const LAYERS = 3;
const HEADS = 4;

// Each patch as five numbers: its mean colour, 0 to 1, and its place, how far down and across.
const tokensOf = (pixels, side, rows) => {
  const size = side / rows;
  const tokens = new Float64Array(rows * rows * 5);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const token = 5 * (Math.floor(y / size) * rows + Math.floor(x / size));
      for (let c = 0; c < 3; c++) tokens[token + c] += pixels[3 * (y * side + x) + c] / 255 / size ** 2;
    }
  for (let i = 0; i < rows * rows; i++) {
    tokens[5 * i + 3] = (Math.floor(i / rows) + 0.5) / rows;
    tokens[5 * i + 4] = ((i % rows) + 0.5) / rows;
  }
  return tokens;
};
// Columns from … to - 1 of every token, with mean 0 and mean square length 1.
const standard = (tokens, N, from, to) => {
  const width = to - from;
  const out = new Float64Array(N * width);
  let square = 0;
  for (let c = 0; c < width; c++) {
    let mean = 0;
    for (let i = 0; i < N; i++) mean += tokens[5 * i + from + c] / N;
    for (let i = 0; i < N; i++) square += (out[i * width + c] = tokens[5 * i + from + c] - mean) ** 2 / N;
  }
  const scale = Math.sqrt(Math.max(square, 1e-12));
  for (let k = 0; k < out.length; k++) out[k] /= scale;
  return out;
};
const handMadeAttention = (start, N, sharpness) => {
  const all = new Float64Array(LAYERS * HEADS * N * N);
  const scores = Array.from({ length: HEADS }, () => new Float64Array(N));
  let x = start;
  for (let l = 0; l < LAYERS; l++) {
    const colour = standard(x, N, 0, 3);
    const place = standard(x, N, 3, 5);
    for (let j = 0; j < N; j++) scores[3][j] = sharpness * 2.5 * Math.hypot(...colour.subarray(3 * j, 3 * j + 3));
    softmaxInto(scores[3], scores[3]); // nobody asks: one row for all
    const next = new Float64Array(5 * N);
    const [first, second, third, fourth] = scores;
    for (let i = 0; i < N; i++) {
      const [red, green, blue, down, across] = [colour[3 * i], colour[3 * i + 1], colour[3 * i + 2], place[2 * i], place[2 * i + 1]];
      for (let j = 0; j < N; j++) {
        const [r, g, b] = [red - colour[3 * j], green - colour[3 * j + 1], blue - colour[3 * j + 2]];
        const [dy, dx] = [down - place[2 * j], across - place[2 * j + 1]];
        const hue = r * r + g * g + b * b;
        const way = dy * dy + dx * dx;
        first[j] = (-sharpness * hue) / (2 * 0.15 ** 2);
        second[j] = (-sharpness * way) / (2 * 0.25 ** 2);
        third[j] = sharpness * (-hue / (2 * 0.3 ** 2) - way / (2 * 0.5 ** 2));
      }
      for (let h = 0; h < 3; h++) softmaxInto(scores[h], scores[h]);
      for (let h = 0; h < HEADS; h++) all.set(scores[h], ((l * HEADS + h) * N + i) * N);
      const sums = [0, 0, 0, 0, 0];
      for (let j = 0; j < N; j++) {
        const mean = (first[j] + second[j] + third[j] + fourth[j]) / HEADS;
        for (let c = 0; c < 5; c++) sums[c] += mean * x[5 * j + c];
      }
      for (let c = 0; c < 5; c++) next[5 * i + c] = (sums[c] + x[5 * i + c]) / 2;
    }
    x = next;
  }
  return all;
};

// ---- reading weights (L, H, T, T)
const meanRow = ({ weights, H, T }, l, i) => {
  const row = new Float64Array(T);
  for (let h = 0; h < H; h++) for (let j = 0; j < T; j++) row[j] += weights[((l * H + h) * T + i) * T + j] / H;
  return row;
};
// One row of the rollout: from layer `last` back to the image, half of each step stays where it is.
const rolloutRow = (data, last, query) => {
  let row = new Float64Array(data.T);
  row[query] = 1;
  for (let l = last; l >= 0; l--) {
    const next = Float64Array.from(row, (v) => v / 2);
    row.forEach((share, i) => {
      if (share > 0) meanRow(data, l, i).forEach((weight, j) => (next[j] += (share * weight) / 2));
    });
    row = next;
  }
  return row;
};
const spreadOf = (row) => Math.exp(row.reduce((sum, v) => (v > 0 ? sum - v * Math.log(v) : sum), 0));

const SHEET = 580; // pixels of the picture's canvas: two for each on the page

// ---- a canvas with a cell cursor: arrow keys and pointer go from patch to patch
const gridPanel = (w, { caption, hear, press, drags = false }) => {
  const canvas = element("canvas", { tabIndex: 0, role: "application", width: SHEET, height: SHEET });
  canvas.setAttribute("aria-roledescription", "grid of patches");
  canvas.dataset.export = "";
  const asking = element("span", { className: "aw-asking-patch" });
  const cursor = element("span", { className: "aw-cell" });
  const frame = element("div", { className: "aw-heatmap-frame" }, canvas, asking, cursor);
  const title = element("figcaption", { textContent: caption });
  let [rows, columns, cell] = [1, 1, [0, 0]];
  const over = (node, [i, j]) =>
    Object.assign(node.style, { left: `${(100 * j) / columns}%`, top: `${(100 * i) / rows}%`, width: `${100 / columns}%`, height: `${100 / rows}%` });
  const cellAt = (event) => {
    const area = canvas.getBoundingClientRect();
    const [i, j] = [((event.clientY - area.top) / area.height) * rows, ((event.clientX - area.left) / area.width) * columns];
    return [clamp(Math.floor(i), 0, rows - 1), clamp(Math.floor(j), 0, columns - 1)];
  };
  let held = false;
  canvas.addEventListener("pointerdown", (event) => {
    held = drags;
    if (drags && event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => (held && event.pointerType === "mouse" ? press(...cellAt(event)) : hear(...cellAt(event))));
  canvas.addEventListener("pointerup", () => {
    if (held) w.commit();
    held = false;
  });
  canvas.addEventListener("click", (event) => {
    press(...cellAt(event));
    w.commit();
  });
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move && event.key !== "Enter") return;
    event.preventDefault();
    if (move) cell = [clamp(cell[0] + move[0], 0, rows - 1), clamp(cell[1] + move[1], 0, columns - 1)];
    if (drags || !move) {
      press(...cell);
      w.commitSoon();
    } else hear(...cell);
  });
  return {
    node: element("figure", { className: "aw-heatmap" }, title, frame), canvas, frame, title,
    resize(r, c, aspect) {
      [rows, columns] = [r, c];
      frame.style.aspectRatio = aspect;
      Object.assign(canvas, aspect > 1 ? { width: SHEET, height: Math.round(SHEET / aspect) } : { width: Math.round(SHEET * aspect), height: SHEET });
    },
    at(i, j) {
      cell = [i, j];
      over(cursor, cell);
    },
    ask(place) {
      asking.hidden = !place;
      if (place) over(asking, place);
    },
  };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const [M, height, width] = model.get("_shape");
  const view = model.get("_pixels");
  const bytes = new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength);
  const settings = model.get("_model"); // P, patch, C, D of a model; none for photographs
  const trained = settings.length > 0;
  const [headNames, names] = [model.get("_heads"), model.get("_names")];
  const [L, H] = [model.get("_layers"), headNames.length];
  const stored = floatsOf(model.get("_weights"));
  const P = trained ? settings[0] : 0;
  const prefixNames = ["class token", "distillation token"].slice(0, P);
  if (trained) // the data do not fit into a line of Python
    w.python = (_, state) => ["# explorer is the PatchExplorer of this cell", ...Object.entries(state).map(([name, value]) => `explorer.${name} = ${pythonLiteral(value)}`)].join("\n");
  const settle = () => { // a link may bring numbers that the controls cannot produce
    for (const name of ["picture", "layer", "head"]) if (!Number.isInteger(w.get(name))) w.set(name, Math.round(w.get(name)));
  };

  // ---- the state in numbers
  let data = { key: "" };
  let [row, small, counts] = [[], [], []];
  const compute = () => {
    settle();
    const picture = w.get("picture");
    const key = trained ? `${picture}` : [picture, w.get("patch"), w.get("sharpness")].join();
    if (key !== data.key) {
      const pixels = bytes.subarray(3 * picture * height * width, 3 * (picture + 1) * height * width);
      const patch = trained ? settings[1] : Number(w.get("patch"));
      const [rows, columns] = trained ? [height / patch, width / patch] : [REAL / patch, REAL / patch];
      const T = P + rows * columns;
      const count = L * H * T * T;
      const weights = trained ? stored.subarray(picture * count, (picture + 1) * count) : handMadeAttention(tokensOf(pixels, height, rows), T, w.get("sharpness"));
      data = { key, pixels, patch, rows, columns, T, L, H, weights };
    }
    const { rows, columns, T, weights } = data;
    const [i, j] = [Math.min(Math.floor(w.get("down") * rows), rows - 1), Math.min(Math.floor(w.get("across") * columns), columns - 1)];
    data.token = trained && w.get("asking") === "class token" ? 0 : P + i * columns + j;
    const [l, h, what] = [w.get("layer") - 1, w.get("head") - 1, w.get("view")];
    const from = ((l * H + h) * T + data.token) * T;
    row = what === "rollout" ? rolloutRow(data, l, data.token) : what === "one head" ? weights.slice(from, from + T) : meanRow(data, l, data.token);
    small = new Float64Array(L * H * T);
    for (let k = 0; k < L * H; k++) for (let t = 0; t < T; t++) small[k * T + t] = weights[(k * T + data.token) * T + t];
    const [prefix, patch, C, D] = trained ? settings : [1, data.patch, 3, 768];
    const tokens = prefix + rows * columns;
    counts = [tokens, patch ** 2 * C, patch ** 2 * C * D + D, tokens * D, tokens ** 2];
    Object.assign(data, { C, D });
  };
  const nameOf = (t) => (t < P ? prefixNames[t] : `patch ${t - P + 1} (row ${Math.floor((t - P) / data.columns) + 1}, column ${((t - P) % data.columns) + 1})`);
  const largest = (values, from = 0) => { // on another token: what a patch gives to itself may be beyond the scale
    let top = 0;
    for (let t = P; t < data.T; t++) if (t !== data.token) top = Math.max(top, values[from + t]);
    return top || 1;
  };

  // ---- controls
  const layerField = slider(w, "layer", { format: (v) => `${v} of ${L}` });
  const headField = slider(w, "head", { format: (v) => (trained ? `${v} of ${H}` : `${v}: ${headNames[v - 1]}`) });
  headField.classList.add("aw-head-field");
  w.controls.append(
    ...(M > 1 ? [slider(w, "picture", { format: (v) => names[Math.round(v)] })] : []),
    ...(trained ? [select(w, "asking")] : [select(w, "patch")]),
    select(w, "view"), layerField, headField,
    ...(trained ? [] : [slider(w, "sharpness")]),
  );
  w.show("view", (what) => (headField.querySelector("input").disabled = what !== "one head"));

  // ---- the panels
  const hear = (i, j) => {
    const t = P + i * data.columns + j;
    picturePanel.at(i, j);
    mapPanel.at(i, j);
    w.say(`${nameOf(t)[0].toUpperCase()}${nameOf(t).slice(1)} gets ${fixed(row[t], 3)} of the attention of ${nameOf(data.token)}.`);
  };
  const press = (i, j) => {
    w.set("down", Number(((i + 0.5) / data.rows).toFixed(3)));
    w.set("across", Number(((j + 0.5) / data.columns).toFixed(3)));
    if (trained) w.set("asking", "patch");
    compute(); // what is said belongs to the new patch
    hear(i, j);
  };
  const picturePanel = gridPanel(w, { caption: "", hear, press, drags: true });
  const mapPanel = gridPanel(w, { caption: "", hear, press });
  const [high, low] = [element("span"), element("span")];
  const bar = element("canvas", { width: 1, height: 256, className: "aw-colourbar" });
  mapPanel.node.append(element("div", { className: "aw-scale", ariaHidden: "true" }, high, bar, low));
  const thumbs = Array.from({ length: L * H }, (_, k) => {
    const [l, h] = [Math.floor(k / H), k % H];
    const canvas = element("canvas", { ariaHidden: "true" });
    const choose = element("button", { type: "button", className: "aw-thumb", title: headNames[h], ariaLabel: `layer ${l + 1}, head ${h + 1}${trained ? "" : `: ${headNames[h]}`}` }, canvas);
    choose.addEventListener("click", () => {
      w.set("layer", l + 1);
      w.set("head", h + 1);
      w.set("view", "one head");
      w.commit();
    });
    return { choose, canvas };
  });
  const lines = Array.from({ length: L }, (_, l) =>
    element("div", { className: "aw-thumb-line" }, element("span", { textContent: `layer ${l + 1}` }), ...thumbs.slice(l * H, (l + 1) * H).map((t) => t.choose)));
  const facts = ["patches", "tokens", "numbers in a patch", "parameters of the patch embedding", "numbers in the position embedding", "weights of one head, n²", "this row is spread over"].map((label) => {
    const value = element("td");
    return { value, line: element("tr", {}, element("th", { scope: "row", textContent: label }), value) };
  });
  const note = trained ? "Weights of the trained model." : "Heads set by hand, nothing is learned: they compare mean colours and places.";
  w.stage.append(picturePanel.node, mapPanel.node,
    element("div", { className: "aw-thumbs" }, element("p", { className: "aw-hint", textContent: "All layers and heads for this query, each map on its own scale:" }), ...lines),
    element("div", { className: "aw-facts" }, element("table", {}, element("tbody", {}, ...facts.map((f) => f.line))), element("p", { className: "aw-hint", textContent: note })));

  // ---- drawing
  const image = element("canvas", { width, height });
  let ramp = colourRamp(w.box);
  const paintCells = (canvas, values, from, top) => {
    const { rows, columns } = data;
    Object.assign(canvas, { width: columns, height: rows });
    const context = canvas.getContext("2d");
    const cells = context.createImageData(columns, rows);
    const words = new Uint32Array(cells.data.buffer);
    for (let k = 0; k < words.length; k++) words[k] = ramp[clamp((255 * values[from + P + k]) / top, 0, 255) | 0];
    context.putImageData(cells, 0, 0);
  };
  const paintPicture = () => {
    const { pixels, rows, columns } = data;
    const raw = image.getContext("2d").createImageData(width, height);
    for (let k = 0; k < width * height; k++) raw.data.set([pixels[3 * k], pixels[3 * k + 1], pixels[3 * k + 2], 255], 4 * k);
    image.getContext("2d").putImageData(raw, 0, 0);
    const { canvas } = picturePanel;
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = width > 40; // pixels of a digit are to be seen
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    context.fillStyle = `rgb(${cssColour(w.box, "--aw-gap")})`;
    const gap = rows > 10 ? 2 : 4;
    const even = (at) => 2 * Math.round(at / 2); // whole pixels of the page
    for (let i = 1; i < rows; i++) context.fillRect(0, even((i * canvas.height) / rows), canvas.width, gap);
    for (let j = 1; j < columns; j++) context.fillRect(even((j * canvas.width) / columns), 0, gap, canvas.height);
  };
  const paintBar = () => {
    const strip = bar.getContext("2d").createImageData(1, 256);
    new Uint32Array(strip.data.buffer).set(ramp.toReversed());
    bar.getContext("2d").putImageData(strip, 0, 0);
  };
  paintBar();
  const count = (n) => n.toLocaleString("en");
  let drawn = "";
  let asked = "";
  const draw = () => {
    compute();
    const { rows, columns, T, patch, C, D, token } = data;
    const [l, h, what] = [w.get("layer"), w.get("head"), w.get("view")];
    const place = token < P ? null : [Math.floor((token - P) / columns), (token - P) % columns];
    const sheet = [w.get("picture"), rows, columns].join();
    if (sheet !== drawn) {
      for (const panel of [picturePanel, mapPanel]) panel.resize(rows, columns, width / height);
      paintPicture();
      drawn = sheet;
    }
    const top = largest(row);
    paintCells(mapPanel.canvas, row, 0, top);
    high.textContent = fixed(top, 3);
    low.textContent = "0";
    picturePanel.title.textContent = `${names[w.get("picture")]}: ${rows} × ${columns} patches`;
    const of = what === "one head" ? (trained ? `head ${h}` : headNames[h - 1]) : what;
    mapPanel.title.textContent = what === "rollout" ? `rollout through ${l === 1 ? "layer 1" : `layers 1 to ${l}`}` : `layer ${l}, ${of}`;
    for (const panel of [picturePanel, mapPanel]) {
      panel.ask(place);
      if (place && asked !== `${sheet} ${token}`) panel.at(...place); // the reading cursor stays otherwise
    }
    asked = `${sheet} ${token}`;
    const asks = `${nameOf(token)} asks`;
    picturePanel.canvas.setAttribute("aria-label", `Image in ${rows} by ${columns} patches; ${asks}. Arrow keys choose another patch.`);
    mapPanel.canvas.setAttribute("aria-label", `Attention, ${mapPanel.title.textContent}; ${asks}. Arrow keys read patch by patch, Enter lets one ask.`);
    thumbs.forEach(({ choose, canvas }, k) => {
      paintCells(canvas, small, k * T, largest(small, k * T));
      choose.setAttribute("aria-pressed", what === "one head" && k === (l - 1) * H + h - 1);
    });
    const texts = [
      `${rows} × ${columns} = ${count(rows * columns)}`,
      `${count(counts[0])} (with ${(trained ? settings[0] : 1) > 1 ? "two tokens" : "the class token"} before them)`,
      `${patch} · ${patch} · ${C} = ${count(counts[1])}`,
      `${count(counts[1])} · ${D} + ${D} = ${count(counts[2])}`,
      `${count(counts[0])} · ${D} = ${count(counts[3])}`,
      `${count(counts[0])}² = ${count(counts[4])}`,
      `${fixed(spreadOf(row), 1)} tokens; ${fixed(row[token], 2)} on itself${P && token >= P ? `, ${fixed(row[0], 2)} on the class token` : ""}`,
    ];
    facts.forEach((fact, k) => (fact.value.textContent = texts[k]));
  };
  onThemeChange(() => {
    ramp = colourRamp(w.box);
    drawn = ""; // the gaps between the patches have another colour, too
    paintBar();
    draw();
  }, signal);

  // ---- goals
  const one = (head) => w.get("view") === "one head" && w.get("head") === head;
  let first = null; // who asked when the fourth head was first shown
  const stays = () => {
    if (!one(4)) first = null;
    else first ??= data.token;
    return first !== null && first !== data.token;
  };
  compute();
  const rows = trained ? Array.from({ length: stored.length / data.T }, (_, k) => stored.subarray(k * data.T, (k + 1) * data.T)) : [];
  const single = () => w.get("view") === "one head";
  const elsewhere = (r, t) => r.some((v, k) => k !== t && v >= 0.5);
  const everywhere = (r) => spreadOf(r) >= 0.9 * data.T;
  const goals = trained
    ? [
      { text: "Let the class token ask, and show its rollout through all layers.", reached: () => data.token < P && w.get("view") === "rollout" && w.get("layer") === L },
      ...(rows.some((r, k) => elsewhere(r, k % data.T)) ? [{ text: "Find a head that puts at least half of its attention on one other token.", reached: () => single() && elsewhere(row, data.token) }] : []),
      ...(rows.some(everywhere) ? [{ text: "Find a head that looks almost everywhere: spread over nine tenths of the tokens.", reached: () => single() && everywhere(row) }] : []),
    ]
    : [
      { text: "Cut the image so that fewer than 60 tokens are left.", reached: () => counts[0] < 60 },
      { text: "Choose patches so small that one head needs more than 60,000 weights.", reached: () => counts[4] > 60000 },
      { text: "Find the head that does not care who asks: move the asking patch, and its map stays.", reached: stays },
      { text: "With patches of 16, spread one row over more than 150 patches.", reached: () => data.patch === 16 && spreadOf(row) > 150 },
      { text: "Show a rollout through all three layers in which the asking patch keeps less than a fifth.", reached: () => w.get("view") === "rollout" && w.get("layer") === L && data.rows > 2 && row[data.token] < 0.2 },
    ];
  w.goals(goals.filter((goal) => !goal.reached())); // there is something left to find
  w.begin(draw, () => ({ row, small, patches_used: [spreadOf(row)], counts }));
}
export default { render: onceShown(render) };
