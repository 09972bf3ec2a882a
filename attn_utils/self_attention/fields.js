// A matrix of number fields: type, use the arrow keys, or drag a number sideways.
import { clamp, element, setAll } from "../widgets/kit/dom.js";
import { lowered } from "./matrix.js";
import { shortly } from "./words.js";

const PIXELS = 4; // of a drag for a step of 0.1

const put = ({ w, name, min, max }, at, value) => {
  const numbers = [...w.get(name)];
  numbers[at] = clamp(Number(value.toFixed(2)), min, max);
  w.set(name, numbers);
};

const hearTyping = (fields, input, at) => {
  const { w, name, min, max } = fields;
  input.addEventListener("input", () => {
    const value = Number(input.value);
    if (input.value !== "" && value >= min && value <= max) put(fields, at, value);
    w.commitSoon();
  });
  input.addEventListener("change", () => {
    input.value = w.get(name)[at];
    w.commit();
  });
};

const hearDragging = (fields, input, at) => {
  const { w, name } = fields;
  let held = null;
  input.addEventListener("pointerdown", (event) => {
    held = { id: event.pointerId, x: event.clientX, from: w.get(name)[at], moved: false };
  });
  input.addEventListener("pointermove", (event) => {
    if (held?.id !== event.pointerId || !(event.buttons & 1)) return;
    const way = event.clientX - held.x;
    if (!held.moved && Math.abs(way) < PIXELS) return;
    if (!held.moved) input.setPointerCapture(event.pointerId);
    held.moved = true;
    put(fields, at, held.from + Math.round(way / PIXELS) / 10);
  });
  const release = () => {
    if (held?.moved) {
      w.say(`${input.ariaLabel}: ${input.value}`);
      w.commit();
    }
    held = null;
  };
  input.addEventListener("pointerup", release);
  input.addEventListener("pointercancel", release);
};

const entryOf = (fields, at) => {
  const { min, max } = fields;
  const input = element("input", { type: "number", min, max, step: 0.1, inputMode: "decimal" });
  const shade = element("span", { className: "aw-shade" });
  shade.dataset.exportText = "";
  hearTyping(fields, input, at);
  hearDragging(fields, input, at);
  const node = element("span", { className: "aw-number-cell" }, shade, input);
  return { input, shade, node };
};
const buildFields = (fields, count) => {
  fields.entries = Array.from({ length: count }, (_, at) => entryOf(fields, at));
  fields.rows = Array.from({ length: count / 2 }, (_, i) => {
    const name = setAll(element("span", { className: "aw-row-name" }), { "data-export-text": "" });
    const [first, second] = fields.entries.slice(2 * i, 2 * i + 2);
    const node = element("div", { className: "aw-fields-row" }, name, first.node, second.node);
    return { name, node };
  });
  fields.body.replaceChildren(...fields.rows.map((row) => row.node));
};

// Fields for the numbers of the control `name`, two in a row; `rowLabel(i)` names a row aloud.
export const openFields = (w, { name, title, rowLabel }) => {
  const body = element("div", { className: "aw-fields" });
  const caption = element("figcaption", {}, ...lowered(title));
  const figure = element("figure", { className: "aw-panel" }, caption, body);
  const { min, max } = w.spec(name);
  return { w, name, title, rowLabel, min, max, body, figure, entries: [], rows: [] };
};

// `names` stand before the rows, if there are any; a number as large as `top` gets full colour.
export const drawFields = (fields, values, names, top) => {
  if (fields.entries.length !== values.length) buildFields(fields, values.length);
  if (names) {
    const longest = Math.max(...names.map((text) => [...text].length));
    fields.body.style.setProperty("--aw-names", `${Math.ceil(6.4 * longest) + 8}px`);
  }
  fields.rows.forEach((row, i) => {
    row.name.textContent = names ? names[i] : "";
  });
  fields.entries.forEach(({ input, shade }, at) => {
    const value = values[at];
    input.ariaLabel = `${fields.title}, ${fields.rowLabel(at >> 1)}, column ${(at & 1) + 1}`;
    // what is being typed ("-", "0.") stays as it is
    if (document.activeElement !== input || Number(input.value) !== value) input.value = value;
    shade.textContent = shortly(value);
    shade.className = `aw-shade ${value < 0 ? "aw-minus" : "aw-plus"}`;
    shade.style.setProperty("--aw-depth", ((0.6 * Math.abs(value)) / top).toFixed(3));
  });
};
