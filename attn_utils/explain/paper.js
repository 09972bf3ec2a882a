import { clamp, element, holdTouch } from "../widgets/kit/dom.js";

// Paper of 32 × 32 dots to draw on, and what becomes of the ink: 8 × 8 counts, as the data were made.
export const SIDE = 32; // dots of the paper
export const SIZE = 8; // pixels of the image
export const DOTS = SIDE / SIZE;
const PEN = 2.3; // radius in dots; strokes in the data are about five dots wide

// ---- ink (DigitReader does the same in Python)

export const isDrawing = (text) => /^[0-9a-f]{256}$/.test(text); // a link can say anything
export const unpack = (text) => {
  const bits = new Uint8Array(SIDE * SIDE);
  if (isDrawing(text)) for (let k = 0; k < bits.length; k++) bits[k] = (parseInt(text[k >> 2], 16) >> (3 - (k & 3))) & 1;
  return bits;
};
export const pack = (bits) => {
  let text = "";
  for (let k = 0; k < bits.length; k += 4) text += ((bits[k] << 3) | (bits[k + 1] << 2) | (bits[k + 2] << 1) | bits[k + 3]).toString(16);
  return text;
};
export const isEmpty = (bits) => !bits.includes(1);
// Enlarges the ink to the full height (or width) and centres it.
export const fitted = (bits) => {
  if (isEmpty(bits)) return bits;
  const ends = [SIDE, -1, SIDE, -1]; // first and last row, first and last column
  bits.forEach((ink, k) => {
    const [i, j] = [Math.floor(k / SIDE), k % SIDE];
    if (ink) [ends[0], ends[1], ends[2], ends[3]] = [Math.min(ends[0], i), Math.max(ends[1], i), Math.min(ends[2], j), Math.max(ends[3], j)];
  });
  const lengths = [ends[1] - ends[0] + 1, ends[3] - ends[2] + 1];
  const longest = Math.max(...lengths);
  const [tall, broad] = lengths.map((n) => Math.max(1, Math.floor((2 * SIDE * n + longest) / (2 * longest))));
  const [top, left] = [tall, broad].map((n) => (SIDE - n) >> 1);
  const from = (first, length, n, k) => first + Math.floor(((2 * k + 1) * length) / (2 * n));
  const out = new Uint8Array(SIDE * SIDE);
  for (let i = 0; i < tall; i++)
    for (let j = 0; j < broad; j++)
      out[(top + i) * SIDE + left + j] = bits[from(ends[0], lengths[0], tall, i) * SIDE + from(ends[2], lengths[1], broad, j)];
  return out;
};
export const countsOf = (bits) => {
  const counts = new Float64Array(SIZE * SIZE);
  bits.forEach((ink, k) => (counts[Math.floor(k / SIDE / DOTS) * SIZE + Math.floor((k % SIDE) / DOTS)] += ink));
  return counts;
};

// ---- the paper itself

// A colour word (0xAABBGGRR) with a share of ink over it.
export const shade = (word, ink, share) => {
  const mix = (shift) => Math.round(((word >> shift) & 255) * (1 - share) + ink[shift / 8] * share) << shift;
  return ((255 << 24) | mix(16) | mix(8) | mix(0)) >>> 0;
};

// The paper: pointer, finger and keys draw or rub out; `changed(bits)` hears every dot, `ended()` every stroke.
export const paper = (w, { changed, began, ended }) => {
  const canvas = element("canvas", { width: SIDE, height: SIDE, tabIndex: 0, role: "application", className: "aw-paper" });
  canvas.setAttribute("aria-roledescription", "drawing paper");
  canvas.dataset.export = "";
  const cursor = element("span", { className: "aw-cell", hidden: true });
  const node = element("div", { className: "aw-paper-frame" }, canvas, element("span", { className: "aw-blocks" }), cursor);
  let [bits, at, pen, rubbing, down] = [new Uint8Array(SIDE * SIDE), [16, 16], null, false, false];

  const dab = (i, j) => {
    for (let r = Math.ceil(i - PEN); r <= i + PEN; r++)
      for (let c = Math.ceil(j - PEN); c <= j + PEN; c++)
        if (r >= 0 && r < SIDE && c >= 0 && c < SIDE && (r - i) ** 2 + (c - j) ** 2 <= PEN ** 2) bits[r * SIDE + c] = rubbing ? 0 : 1;
  };
  const line = ([i, j], [k, l]) => {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(k - i, l - j)));
    for (let s = 0; s <= steps; s++) dab(i + ((k - i) * s) / steps, j + ((l - j) * s) / steps);
    changed(bits);
  };
  const begin = () => {
    bits = bits.slice();
    began();
  };
  const placeOf = (event) => {
    const area = canvas.getBoundingClientRect();
    return [((event.clientY - area.top) / area.height) * SIDE - 0.5, ((event.clientX - area.left) / area.width) * SIDE - 0.5];
  };
  holdTouch(canvas);
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || pen) return;
    pen = { id: event.pointerId, at: placeOf(event) };
    canvas.setPointerCapture(pen.id);
    canvas.focus({ preventScroll: true });
    event.preventDefault();
    begin();
    line(pen.at, pen.at);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pen?.id) return;
    const way = event.getCoalescedEvents?.() ?? [];
    for (const point of way.length ? way : [event]) {
      const next = placeOf(point);
      line(pen.at, next);
      pen.at = next;
    }
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => {
      if (event.pointerId !== pen?.id) return;
      pen = null;
      ended();
    });

  // Keys: arrows move the cursor, the space bar puts the pen down and lifts it, Enter makes one dab.
  const lift = () => {
    if (down) ended();
    down = false;
    canvas.classList.remove("aw-down");
  };
  const describe = () => {
    const [i, j] = at;
    Object.assign(cursor.style, { left: `${(100 * j) / SIDE}%`, top: `${(100 * i) / SIDE}%`, width: `${100 / SIDE}%`, height: `${100 / SIDE}%` });
    const tool = `${rubbing ? "eraser" : "pen"} ${down ? "down" : "up"}`;
    const words = `Row ${i + 1}, column ${j + 1} of ${SIDE}: ${bits[i * SIDE + j] ? "ink" : "paper"}, ${tool}`;
    canvas.setAttribute("aria-label", `Paper. ${words}. Arrow keys move (with Shift four dots), the space bar puts the ${rubbing ? "eraser" : "pen"} down or lifts it.`);
    return words;
  };
  canvas.addEventListener("focus", () => (cursor.hidden = !canvas.matches(":focus-visible")));
  canvas.addEventListener("blur", () => {
    cursor.hidden = true;
    lift();
    describe();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step && event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    cursor.hidden = false;
    if (step) {
      const last = at;
      at = at.map((v, axis) => clamp(v + step[axis] * (event.shiftKey ? DOTS : 1), 0, SIDE - 1));
      if (down) line(last, at);
    } else if (down) lift();
    else {
      begin();
      line(at, at);
      if (event.key === "Enter") ended();
      else down = true;
      canvas.classList.toggle("aw-down", down);
    }
    w.say(`${describe()}.`);
  });
  return {
    node,
    rub(on) {
      lift();
      rubbing = on;
      describe();
    },
    draw(text, look) {
      if (text !== pack(bits)) bits = unpack(text);
      const image = new ImageData(SIDE, SIDE);
      const words = new Uint32Array(image.data.buffer);
      for (let k = 0; k < words.length; k++) words[k] = shade(look.sheet, look.ink, bits[k]);
      canvas.getContext("2d").putImageData(image, 0, 0);
      describe();
    },
  };
};
