import { field, select, toggle } from "../widgets/kit/controls.js";
import { clamp, element, freshId } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { memoryBars, partTable } from "./bars.js";
import { compute, costsOf, sum } from "./compute.js";
import { memoryCurves, operationCurves } from "./curves.js";
import { grouped } from "./words.js";

// The cost calculator: operations, bytes and memory of a transformer block, from formulas in n.
const CONTROLS = [
  ...["n", "width", "num_heads", "num_kv_heads", "batch"],
  ...["precision", "kernel", "phase", "is_causal", "memory"],
];

const refresh = (view) => {
  view.state = view.w.state(CONTROLS);
  view.now = costsOf(view.state);
};

// ---- controls of its own: a number to type, and a list of usual sizes

const numberField = (w, name) => {
  const { min, max, label } = w.spec(name);
  const input = element("input", {
    type: "number",
    id: freshId(),
    min,
    max,
    step: 1,
    inputMode: "numeric",
  });
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
  const option = (value) =>
    element("option", { value, textContent: value ? grouped(value) : "all" });
  w.show(name, (value) => {
    const all = [...new Set([...stops, value])].sort((a, b) => a - b); // Python may set any number
    input.replaceChildren(...all.map(option));
    input.value = value;
  });
  input.addEventListener("change", () => {
    w.set(name, Number(input.value));
    w.commit();
  });
  return field(w.spec(name).label, input);
};

const buildControls = (w) => {
  const stops = new Map(w.model.get("_stops"));
  const list = (name) => stopList(w, name, stops.get(name));
  w.controls.append(
    numberField(w, "n"),
    ...["width", "num_heads", "num_kv_heads", "batch"].map(list),
    select(w, "precision"),
    select(w, "kernel"),
    select(w, "phase"),
    toggle(w, "is_causal"),
    list("memory"),
  );
};

// ---- the stage

const crossingsInWords = ({ now, state }) => {
  const [projections, mlp, explicit, fused] = now.crossings.map(grouped);
  const other = `${state.num_heads} heads do not divide ${grouped(state.width)}`;
  return [
    `Scores and weighted sum cost as much as the four projections from n = ${projections} on,`,
    `the whole attention, projections and softmax included, more than the MLP from n = ${mlp} on.`,
    `Explicit attention fits up to n = ${explicit}, fused up to n = ${fused}.`,
    ...(now.heads === state.num_heads ? [] : [`${other}: counted with ${now.heads}.`]),
    ...(state.num_kv_heads && now.keyHeads !== state.num_kv_heads
      ? [`Key/value heads: counted with ${now.keyHeads}, which divides ${now.heads}.`]
      : []),
  ].join(" ");
};

const buildStage = (view) => {
  const curves = [operationCurves(view), memoryCurves(view)];
  const panels = [partTable(), memoryBars(), ...curves];
  const words = element("p", { className: "aw-hint" });
  const summary = element("summary", { textContent: "Where the curves meet" });
  const answer = element("details", { className: "aw-words" }, summary, words); // goals aim at it
  view.w.stage.append(...panels.map(({ node }) => node), answer);
  let resting;
  return () => {
    for (const panel of panels) panel.draw(view);
    words.textContent = crossingsInWords(view);
    clearTimeout(resting);
    resting = setTimeout(() => {
      for (const { announce } of curves) announce(); // spoken once things rest
    }, 200);
  };
};

// ---- goals

const isNearLimit = ({ now, state }, kernel) => {
  const limit = now.crossings[kernel === "fused" ? 3 : 2];
  const isThere = state.n <= limit && state.n >= 0.98 * limit;
  return isThere && state.memory === 24 && state.kernel === kernel;
};

const arePairsLikeProjections = ({ now: { flops: f } }) =>
  Math.abs((f[1] + f[3]) / (f[0] + f[4]) - 1) <= 0.02;

const doesSoftmaxMoveMost = ({ now: { flops, moved } }) =>
  moved[2] >= 0.4 * sum(moved) && flops[2] < 0.02 * sum(flops);

// Scores and weighted sum together, while one token is written.
const areReadsShared = ({ now: { flops: f, moved: m }, state }) =>
  state.phase === "decode" && state.n >= 4096 && (f[1] + f[3]) / (m[1] + m[3]) >= 6;

const goalsOf = (view) => [
  {
    text:
      "Find the n at which scores and weighted sum cost as much as the four projections, " +
      "within 2 %.",
    reached: () => arePairsLikeProjections(view),
  },
  {
    text: "Device memory 24 GiB, explicit: find the largest n that fits, within 2 %.",
    reached: () => isNearLimit(view, "explicit"),
  },
  {
    text: "The same with fused attention (a larger batch brings the limit onto the axis).",
    reached: () => isNearLimit(view, "fused"),
  },
  {
    text: "Let the softmax move at least 40 % of all bytes with less than 2 % of the operations.",
    reached: () => doesSoftmaxMoveMost(view),
  },
  {
    text:
      "Phase decode, n ≥ 4,096: let scores and weighted sum do at least 6 operations for each " +
      "byte they move.",
    reached: () => areReadsShared(view),
  },
];

const render = ({ model, el, signal }) => {
  const w = openWidget({ model, el, signal });
  const view = { w };
  refresh(view);
  buildControls(w);
  const paint = buildStage(view);
  w.goals(goalsOf(view));
  w.begin(
    () => {
      refresh(view);
      paint();
    },
    () => compute(view.state),
  );
};

export default { render: onceShown(render) };
