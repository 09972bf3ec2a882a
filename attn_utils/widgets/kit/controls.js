// Native inputs bound to traits: keyboard, touch and screen readers come with them.
// What a control may be set to (range, options, label) is declared once, on the Python trait.
import { clamp, element, fixed, freshId } from "./dom.js";

export const field = (label, input, ...rest) =>
  element(
    "div",
    { className: "aw-field" },
    element("label", { htmlFor: input.id, textContent: label }),
    input,
    ...rest,
  );

// How a slider's position and the control's value belong together. On a logarithmic slider equal
// ways are equal factors, and values have three digits. Round numbers, which texts ask for, lie
// between its steps: the step next to one stands for it.
const linearScale = ({ min, max, step }) => ({
  range: { min, max, step },
  positionOf: (value) => value,
  valueAt: (position) => position,
});
const LOG_STEP = 0.005;
const ROUND = [1, 2, 3, 5, 10]; // times a power of ten
const logScale = ({ min, max }) => {
  const whole = Math.log(max / min);
  const roundNear = (value) => {
    const power = 10 ** Math.floor(Math.log10(value));
    const isNear = (round) => Math.abs(Math.log(value / round)) <= (whole * LOG_STEP) / 2;
    return ROUND.map((digit) => digit * power).find(isNear) ?? value;
  };
  return {
    range: { min: 0, max: 1, step: LOG_STEP },
    positionOf: (value) => Math.log(value / min) / whole,
    valueAt: (position) =>
      clamp(Number(roundNear(min * Math.exp(whole * position)).toPrecision(3)), min, max),
  };
};

export const slider = (w, name, { format = (v) => fixed(v), log = false } = {}) => {
  const spec = w.spec(name);
  const { range, positionOf, valueAt } = (log ? logScale : linearScale)(spec);
  const input = element("input", { type: "range", id: freshId(), ...range });
  // hidden from screen readers, which speak aria-valuetext
  const output = element("span", { className: "aw-value", ariaHidden: "true" });
  w.show(name, (value) => {
    input.value = positionOf(value);
    output.textContent = format(value);
    input.setAttribute("aria-valuetext", output.textContent);
  });
  input.addEventListener("input", () => w.set(name, valueAt(Number(input.value))));
  input.addEventListener("change", () => w.commit());
  return field(spec.label, input, output);
};

export const select = (w, name) => {
  const { options, label } = w.spec(name);
  const entries = options.map((option) =>
    element("option", { value: option, textContent: option }),
  );
  const input = element("select", { id: freshId() }, ...entries);
  w.show(name, (value) => {
    input.value = value;
  });
  input.addEventListener("change", () => {
    w.set(name, input.value);
    w.commit();
  });
  return field(label, input);
};

export const toggle = (w, name) => {
  const input = element("input", { type: "checkbox", id: freshId() });
  w.show(name, (value) => {
    input.checked = value;
  });
  input.addEventListener("change", () => {
    w.set(name, input.checked);
    w.commit();
  });
  const box = field(w.spec(name).label, input);
  box.classList.add("aw-toggle");
  return box;
};

export const button = (label, run, properties = {}) => {
  const node = element("button", { type: "button", textContent: label, ...properties });
  node.addEventListener("click", run);
  return node;
};
