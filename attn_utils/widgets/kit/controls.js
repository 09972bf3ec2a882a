import { clamp, element, fixed, freshId } from "./dom.js";

// Native inputs bound to traits: keyboard, touch and screen readers come with them.
// What a control may be set to (range, options, label) is declared once, on the Python trait.
export const field = (label, input, ...rest) =>
  element(
    "div",
    { className: "aw-field" },
    element("label", { htmlFor: input.id, textContent: label }),
    input,
    ...rest,
  );

// `log`: equal ways on the slider are equal factors, and values have three digits.
export const slider = (w, name, { format = (v) => fixed(v), log = false } = {}) => {
  const { min, max, step, label } = w.spec(name);
  const input = element("input", {
    type: "range",
    id: freshId(),
    ...(log ? { min: 0, max: 1, step: 0.005 } : { min, max, step }),
  });
  const place = log ? (value) => Math.log(value / min) / Math.log(max / min) : (value) => value;
  const value = log
    ? (at) => clamp(Number((min * (max / min) ** at).toPrecision(3)), min, max)
    : (at) => at;
  const output = element("span", { className: "aw-value", ariaHidden: "true" }); // spoken as aria-valuetext
  w.show(name, (now) => {
    input.value = place(now);
    output.textContent = format(now);
    input.setAttribute("aria-valuetext", output.textContent);
  });
  input.addEventListener("input", () => w.set(name, value(Number(input.value))));
  input.addEventListener("change", () => w.commit());
  return field(label, input, output);
};

export const select = (w, name) => {
  const { options, label } = w.spec(name);
  const input = element(
    "select",
    { id: freshId() },
    ...options.map((o) => element("option", { value: o, textContent: o })),
  );
  w.show(name, (value) => (input.value = value));
  input.addEventListener("change", () => {
    w.set(name, input.value);
    w.commit();
  });
  return field(label, input);
};

export const toggle = (w, name) => {
  const input = element("input", { type: "checkbox", id: freshId() });
  w.show(name, (value) => (input.checked = value));
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
