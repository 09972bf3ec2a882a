// The paper: pointer, finger and keys draw or rub out.
import { clamp, element, holdTouch } from "../widgets/kit/dom.js";
import { DOTS, pack, SIDE, unpack } from "./ink.js";

const PEN = 2.3; // radius in dots; strokes in the data are about five dots wide
const KEY_STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// A colour word (0xAABBGGRR) with a share of ink over it.
export const shade = (word, ink, share) => {
  const mix = (shift) =>
    Math.round(((word >> shift) & 255) * (1 - share) + ink[shift / 8] * share) << shift;
  return ((255 << 24) | mix(16) | mix(8) | mix(0)) >>> 0;
};

// `began()` hears every stroke before it changes anything, `changed(bits)` every dot, `ended()`
// every stroke.
export const paper = (w, { changed, began, ended }) => {
  const canvas = element("canvas", {
    width: SIDE,
    height: SIDE,
    tabIndex: 0,
    role: "application",
    className: "aw-paper",
  });
  canvas.setAttribute("aria-roledescription", "drawing paper");
  canvas.dataset.export = "";
  const cursor = element("span", { className: "aw-cell", hidden: true });
  const blocks = element("span", { className: "aw-blocks" });
  const sheet = {
    ...{ w, changed, began, ended, canvas, cursor },
    bits: new Uint8Array(SIDE * SIDE),
    pointer: null, // {id, at}: the one that draws
    at: [16, 16], // of the keys' pen: row, column
    isDown: false, // the keys' pen
    isRubbing: false,
  };
  drawByPointer(sheet);
  drawByKeys(sheet);
  return {
    node: element("div", { className: "aw-paper-frame" }, canvas, blocks, cursor),
    rub(on) {
      liftPen(sheet);
      sheet.isRubbing = on;
      placePen(sheet);
    },
    draw: (text, look) => drawPaper(sheet, text, look),
  };
};

const drawPaper = (sheet, text, look) => {
  if (text !== pack(sheet.bits)) sheet.bits = unpack(text);
  const image = new ImageData(SIDE, SIDE);
  const words = new Uint32Array(image.data.buffer);
  for (let k = 0; k < words.length; k++) words[k] = shade(look.sheet, look.ink, sheet.bits[k]);
  sheet.canvas.getContext("2d").putImageData(image, 0, 0);
  placePen(sheet);
};

// ---- strokes

const beginStroke = (sheet) => {
  sheet.bits = sheet.bits.slice();
  sheet.began();
};

const dab = ({ bits, isRubbing }, i, j) => {
  for (let r = Math.ceil(i - PEN); r <= i + PEN; r++)
    for (let c = Math.ceil(j - PEN); c <= j + PEN; c++) {
      const isOnPaper = r >= 0 && r < SIDE && c >= 0 && c < SIDE;
      if (isOnPaper && (r - i) ** 2 + (c - j) ** 2 <= PEN ** 2)
        bits[r * SIDE + c] = isRubbing ? 0 : 1;
    }
};

const strokeTo = (sheet, [i, j], [k, l]) => {
  const steps = Math.max(1, Math.ceil(2 * Math.hypot(k - i, l - j)));
  for (let s = 0; s <= steps; s++) dab(sheet, i + ((k - i) * s) / steps, j + ((l - j) * s) / steps);
  sheet.changed(sheet.bits);
};

const drawByPointer = (sheet) => {
  const { canvas } = sheet;
  const placeOf = (event) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const [down, right] = [(event.clientY - top) / height, (event.clientX - left) / width];
    return [down * SIDE - 0.5, right * SIDE - 0.5];
  };
  holdTouch(canvas);
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || sheet.pointer) return;
    sheet.pointer = { id: event.pointerId, at: placeOf(event) };
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    event.preventDefault();
    beginStroke(sheet);
    strokeTo(sheet, sheet.pointer.at, sheet.pointer.at);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== sheet.pointer?.id) return;
    const way = event.getCoalescedEvents?.() ?? [];
    for (const point of way.length ? way : [event]) {
      const next = placeOf(point);
      strokeTo(sheet, sheet.pointer.at, next);
      sheet.pointer.at = next;
    }
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => {
      if (event.pointerId !== sheet.pointer?.id) return;
      sheet.pointer = null;
      sheet.ended();
    });
};

// ---- keys: arrows move the pen, the space bar puts it down and lifts it, Enter makes one dab

const drawByKeys = (sheet) => {
  const { canvas, cursor } = sheet;
  canvas.addEventListener("focus", () => {
    cursor.hidden = !canvas.matches(":focus-visible");
  });
  canvas.addEventListener("blur", () => {
    cursor.hidden = true;
    liftPen(sheet);
    placePen(sheet);
  });
  canvas.addEventListener("keydown", (event) => {
    const step = KEY_STEPS[event.key];
    if (!step && event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    cursor.hidden = false;
    if (step) movePen(sheet, step, event.shiftKey ? DOTS : 1);
    else if (sheet.isDown) liftPen(sheet);
    else putPenDown(sheet, event.key === "Enter");
    sheet.w.say(`${placePen(sheet)}.`);
  });
};

const movePen = (sheet, step, by) => {
  const last = sheet.at;
  sheet.at = last.map((v, axis) => clamp(v + step[axis] * by, 0, SIDE - 1));
  if (sheet.isDown) strokeTo(sheet, last, sheet.at);
};

const putPenDown = (sheet, isDab) => {
  beginStroke(sheet);
  strokeTo(sheet, sheet.at, sheet.at);
  sheet.isDown = !isDab;
  if (isDab) sheet.ended();
  sheet.canvas.classList.toggle("aw-down", sheet.isDown);
};

const liftPen = (sheet) => {
  if (sheet.isDown) sheet.ended();
  sheet.isDown = false;
  sheet.canvas.classList.remove("aw-down");
};

// Moves the cursor and puts the place under it into words.
const placePen = ({ bits, at: [i, j], isDown, isRubbing, canvas, cursor }) => {
  const dot = `${100 / SIDE}%`;
  const [left, top] = [j, i].map((v) => `${(100 * v) / SIDE}%`);
  Object.assign(cursor.style, { left, top, width: dot, height: dot });
  const tool = isRubbing ? "eraser" : "pen";
  const found = bits[i * SIDE + j] ? "ink" : "paper";
  const place = `Row ${i + 1}, column ${j + 1} of ${SIDE}`;
  const words = `${place}: ${found}, ${tool} ${isDown ? "down" : "up"}`;
  const keys = "Arrow keys move (with Shift four dots), the space bar puts";
  canvas.setAttribute("aria-label", `Paper. ${words}. ${keys} the ${tool} down or lifts it.`);
  return words;
};
