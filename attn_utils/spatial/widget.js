import { floatsOf } from "../widgets/kit/buffers.js";
import { select, toggle } from "../widgets/kit/controls.js";
import { clamp, element, fixed, setAll, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { heatmap } from "../widgets/kit/heatmap.js";
import { draggable } from "../widgets/kit/plot.js";

// CBAM's spatial gate over a scene that the reader rearranges: a small convolutional stem, the channel
// gate, the mean and maximum over the channels, one more convolution. Double precision throughout.
const SIDE = 30;
const BOX = 10;

// ---- the arithmetic (attn_utils.spatial computes the same in torch)

const sigmoid = (v) => 1 / (1 + Math.exp(-v));
// x: `channels` maps of side × side; zeros around them. `size` is odd, so the middle stays in place.
const convolve = (x, side, weight, bias, [out, channels, size, stride, relu]) => {
  const half = (size - 1) / 2;
  const to = Math.floor((side - 1) / stride) + 1;
  const y = new Float64Array(out * to * to);
  for (let o = 0; o < out; o++) {
    const map = y.subarray(o * to * to, (o + 1) * to * to).fill(bias ? bias[o] : 0);
    for (let c = 0; c < channels; c++) {
      for (let u = 0; u < size; u++) {
        for (let v = 0; v < size; v++) {
          const k = weight[((o * channels + c) * size + u) * size + v];
          for (let i = 0; i < to; i++) {
            const row = i * stride + u - half;
            if (row < 0 || row >= side) continue;
            const from = (c * side + row) * side + v - half;
            for (let j = Math.max(0, Math.ceil((half - v) / stride)); j < to && j * stride + v - half < side; j++) {
              map[i * to + j] += k * x[from + j * stride];
            }
          }
        }
      }
    }
    if (relu) for (let k = 0; k < map.length; k++) map[k] = Math.max(0, map[k]);
  }
  return [y, to];
};
// One number for each channel, from its mean and its maximum through the same two layers.
const channelGate = (x, channels, hidden, weights) => {
  const places = x.length / channels;
  const scores = new Float64Array(channels);
  const descriptors = [new Float64Array(channels), new Float64Array(channels).fill(-Infinity)];
  for (let c = 0; c < channels; c++) {
    for (let k = c * places; k < (c + 1) * places; k++) {
      descriptors[0][c] += x[k] / places;
      descriptors[1][c] = Math.max(descriptors[1][c], x[k]);
    }
  }
  for (const descriptor of descriptors) {
    for (let h = 0; h < hidden; h++) {
      let unit = 0;
      for (let c = 0; c < channels; c++) unit += weights[h * channels + c] * descriptor[c];
      if (unit > 0) for (let c = 0; c < channels; c++) scores[c] += weights[hidden * channels + c * hidden + h] * unit;
    }
  }
  return scores.map(sigmoid);
};
// Mean and maximum over the channels, behind each other as one input of two maps.
const overChannels = (x, channels) => {
  const places = x.length / channels;
  const maps = new Float64Array(2 * places);
  for (let k = 0; k < places; k++) {
    let [sum, most] = [0, -Infinity];
    for (let c = 0; c < channels; c++) {
      sum += x[c * places + k];
      most = Math.max(most, x[c * places + k]);
    }
    maps[k] = sum / channels;
    maps[places + k] = most;
  }
  return maps;
};
const middleOf = (kernel) => kernel.filter((_, k) => Math.abs(Math.floor((k % 49) / 7) - 3) < 2 && Math.abs((k % 7) - 3) < 2);

// Everything that is shown, from the present controls.
const gateOf = (w, { left, top, kernel, channel }) => {
  const [form, hidden, numbers, gates, objects, noise] = ["_form", "_hidden", "_stem", "_gates", "_objects", "_noise"].map((name) => {
    const value = w.model.get(name);
    return typeof value === "object" && !Array.isArray(value) ? floatsOf(value) : value;
  });
  const scene = Float64Array.from(noise);
  left.forEach((x, n) => {
    for (let i = 0; i < BOX; i++) for (let j = 0; j < BOX; j++) scene[(top[n] + i) * SIDE + x + j] += objects[(n * BOX + i) * BOX + j];
  });
  let [x, side, at] = [scene, SIDE, 0];
  for (const shape of form) {
    const [out, channels, size] = shape;
    const count = out * channels * size * size;
    [x, side] = convolve(x, side, numbers.subarray(at, at + count), numbers.subarray(at + count, at + count + out), shape);
    at += count + out;
  }
  const channels = form.at(-1)[0];
  const byChannel = channel ? channelGate(x, channels, hidden, gates) : new Float64Array(channels).fill(1);
  const places = side * side;
  for (let k = 0; k < x.length; k++) x[k] *= byChannel[Math.floor(k / places)];
  const maps = overChannels(x, channels);
  const whole = gates.subarray(2 * hidden * channels);
  const size = kernel === "3" ? 3 : 7;
  const [scores] = convolve(maps, side, size === 3 ? middleOf(whole) : whole, null, [1, 2, size, 1, false]);
  const gate = scores.map(sigmoid);
  // each pixel has the gate of its cell
  const cell = (pixel) => Math.floor((pixel * side) / SIDE);
  let [inside, all] = [0, 0];
  for (let i = 0; i < SIDE; i++) {
    for (let j = 0; j < SIDE; j++) {
      const value = gate[cell(i) * side + cell(j)];
      all += value;
      if (i >= top[0] && i < top[0] + BOX && j >= left[0] && j < left[0] + BOX) inside += value;
    }
  }
  return { scene, side, byChannel, mean: maps.subarray(0, places), most: maps.subarray(places), gate, share: inside / all, left, top, kernel, channel };
};

// ---- the pictures

// The scene in grey with the gate as colour over it, and a frame to hold for each object.
const scenePanel = (w, state) => {
  const canvas = element("canvas", { width: SIDE, height: SIDE, ariaHidden: "true" });
  canvas.dataset.export = "";
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  const overlay = svg("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, role: "group", "aria-label": "Scene with objects to move" });
  const toData = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(overlay.getScreenCTM().inverse());
    return [point.x, point.y];
  };
  const nameOf = (n) => (n === 0 ? "the framed object" : `distractor ${n}`);
  const place = (n, x, y) => {
    const put = (name, value) => w.set(name, w.get(name).map((old, k) => (k === n ? clamp(Math.round(value), 0, SIDE - BOX) : old)));
    put("left", x);
    put("top", y);
  };
  const handles = w.get("left").map((_, n) => {
    const node = svg("rect", { width: BOX, height: BOX, class: n === 0 ? "aw-object aw-wanted" : "aw-object" });
    let grip = [0, 0]; // where in the object the pointer took hold of it
    node.addEventListener("pointerdown", (event) => {
      const [x, y] = toData(event);
      grip = [x - w.get("left")[n], y - w.get("top")[n]];
    });
    const handle = draggable(w, { toData }, node, {
      move(x, y) {
        place(n, x - grip[0], y - grip[1]);
      },
      nudge: (dx, dy) => place(n, w.get("left")[n] + dx, w.get("top")[n] - dy),
      describe: () => ({
        name: `${nameOf(n)}, arrow keys move it`, value: w.get("left")[n], min: 0, max: SIDE - BOX,
        text: `${nameOf(n)}: ${w.get("left")[n]} pixels from the left, ${w.get("top")[n]} from the top; ${fixed(state().share)} of the gate in the box`,
      }),
    });
    return { node, announce: handle.announce };
  });
  overlay.append(...handles.map(({ node }) => node).reverse()); // the object on top, to be grasped first
  const frame = element("div", { className: "aw-scene" }, canvas, overlay);
  const node = element("figure", { className: "aw-scene-panel" }, element("figcaption", { textContent: "Scene, tinted by the gate (relative to its largest value)" }), frame);
  return {
    node, handles,
    draw({ scene, gate, side, left, top }) {
      const largest = Math.max(...gate);
      for (let k = 0; k < scene.length; k++) {
        const [i, j] = [Math.floor(k / SIDE), k % SIDE];
        const tint = (0.75 * gate[Math.floor((i * side) / SIDE) * side + Math.floor((j * side) / SIDE)]) / largest;
        const grey = clamp(255 * (0.95 - 0.85 * scene[k]), 0, 255);
        const orange = [255 - 0.12 * (255 - grey), 120 + 0.3 * (grey - 120), 0.25 * grey];
        for (let c = 0; c < 3; c++) image.data[4 * k + c] = grey + tint * (orange[c] - grey);
        image.data[4 * k + 3] = 255;
      }
      context.putImageData(image, 0, 0);
      handles.forEach(({ node: box }, n) => setAll(box, { x: left[n], y: top[n] }));
    },
  };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const compute = () => gateOf(w, { left: w.get("left").map(Math.round), top: w.get("top").map(Math.round), kernel: w.get("kernel"), channel: w.get("channel") });
  let now = compute();
  const state = () => now;
  const start = w.get("left").map((x, n) => [x, w.get("top")[n]]);
  w.controls.append(select(w, "kernel"), toggle(w, "channel"));

  const scene = scenePanel(w, state);
  const mapOf = (label) => heatmap(w, {
    rows: now.side, columns: now.side, width: 150, label, xlabel: "", ylabel: "",
    nameOf: (i, j, value) => `Row ${i + 1}, column ${j + 1}: ${fixed(value)}`,
  });
  const maps = [mapOf("Mean map"), mapOf("Max map"), mapOf("Gate")];
  const readout = element("p", { className: "aw-readout" });
  readout.dataset.exportText = "";
  const bars = svg("svg", { class: "aw-bars", role: "img", "data-export": "" });
  const channels = element("figure", { className: "aw-channel-panel" }, element("figcaption", { textContent: "Channel gates" }), bars);
  w.stage.append(
    element("div", { className: "aw-left" }, scene.node, readout),
    element("div", { className: "aw-right" }, ...maps.map((map) => map.node), channels));

  const drawBars = () => {
    const n = now.byChannel.length;
    setAll(bars, { viewBox: `0 0 ${10 * n} 52`, "aria-label": `Channel gates: ${Array.from(now.byChannel, (g) => fixed(g)).join(", ")}` });
    bars.replaceChildren(
      svg("line", { x1: 0, x2: 10 * n, y1: 51, y2: 51, class: "aw-base" }), svg("line", { x1: 0, x2: 10 * n, y1: 1, y2: 1, class: "aw-base" }),
      ...Array.from(now.byChannel, (g, c) => svg("rect", { x: 10 * c + 1.5, width: 7, y: 51 - 50 * g, height: 50 * g, class: "aw-bar" })));
  };
  const chance = (BOX / SIDE) ** 2;
  let resting;
  const draw = () => {
    now = compute();
    scene.draw(now);
    const range = (values) => [Math.min(...values), Math.max(...values)];
    maps[0].draw(now.mean, range(now.mean));
    maps[1].draw(now.most, range(now.most));
    maps[2].draw(now.gate, [0, 1]);
    drawBars();
    readout.textContent = `In the framed object's box: ${fixed(now.share)} of the gate. By chance: ${fixed(chance)}.`;
    clearTimeout(resting);
    resting = setTimeout(() => scene.handles.forEach((handle) => handle.announce()), 150);
  };
  const moved = (n) => Math.hypot(now.left[n] - start[n][0], now.top[n] - start[n][1]);
  const withKernel = (kernel) => gateOf(w, { ...now, kernel }).share;
  w.goals([
    { text: "Move the framed object by 8 pixels or more: the mask follows (at least half of it in the box).", reached: () => moved(0) >= 8 && now.share >= 0.5 },
    { text: "Lead the mask astray: less than a third of it in the box, with the 7 × 7 kernel and channel attention.", reached: () => now.kernel === "7" && now.channel && now.share < 1 / 3 },
    { text: "Show that reach matters: with 3 × 3, at most half the share that 7 × 7 has in the same scene.", reached: () => now.kernel === "3" && 2 * now.share <= withKernel("7") },
  ]);
  w.begin(draw, () => ({ mean_map: now.mean, max_map: now.most, gate: now.gate, channel_gate: now.byChannel, share: [now.share] }));
}
export default { render: onceShown(render) };
