// A model that continues a pattern, with switches on its eight heads and on the keys of layer 2.
import { halvesOf } from "../widgets/kit/buffers.js";
import { field, select } from "../widgets/kit/controls.js";
import { element, freshId } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { remembering } from "../widgets/kit/remember.js";
import { colourRamp, onThemeChange } from "../widgets/kit/theme.js";
import { compute, HEADS } from "./compute.js";
import { layerPanel, textPanel } from "./panels.js";

const INPUTS = ["pattern", "heads", "key_source"];

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const parameters = { _floats: halvesOf(model.get("_floats")), _shapes: model.get("_shapes") };
  const computed = remembering(INPUTS, compute);
  const view = {
    w,
    now: () => computed({ ...parameters, ...w.state(INPUTS) }),
    cursor: null, // the query and the key under the pointer
    point(cell) {
      view.cursor = cell;
      drawText(view);
    },
    look: colourRamp(w.box),
    text: textPanel(),
  };
  view.layers = [layerPanel(view, 0, "first"), layerPanel(view, 1, "second")];
  w.controls.append(patternField(w), select(w, "key_source"));
  w.stage.append(view.text.node, ...view.layers.map(({ node }) => node));
  onThemeChange(() => {
    view.look = colourRamp(w.box);
    draw(view);
  }, signal);
  w.goals(goalsOf(view));
  w.begin(
    () => draw(view),
    () => view.now(),
  );
}

const patternField = (w) => {
  const { max, label, pattern } = w.spec("pattern");
  const input = element("input", {
    ...{ type: "text", id: freshId(), maxLength: max, size: max, spellcheck: false },
    ...{ autocomplete: "off", autocapitalize: "none" },
  });
  const fitting = new RegExp(`^${pattern}$`);
  w.show("pattern", (text) => {
    if (input.value !== text) input.value = text;
  });
  input.addEventListener("input", () => {
    const text = input.value.toLowerCase();
    if (fitting.test(text)) w.set("pattern", text);
    else w.say("A pattern has 2 to 16 letters from a to z.");
    w.commitSoon();
  });
  input.addEventListener("change", () => {
    input.value = w.get("pattern");
    w.commit();
  });
  return field(label, input);
};

// ---- drawing

const drawText = ({ w, text, now, cursor }) =>
  text.draw({ pattern: w.get("pattern"), results: now(), cursor });

const draw = (view) => {
  const { w, now, look, layers } = view;
  drawText(view);
  for (const layer of layers) layer.draw({ results: now(), heads: w.get("heads"), look });
};

// ---- goals

const goalsOf = ({ w, now }) => {
  const accuracy = () => now().accuracy[0];
  const offIn = (layer) =>
    w
      .get("heads")
      .slice(layer * HEADS, (layer + 1) * HEADS)
      .filter((on) => !on).length;
  const isPlain = () => w.get("key_source") === "as they are";
  const longEnough = () => w.get("pattern").length >= 5;
  return [
    {
      text: "Leave at most two heads on, and 9 of 10 letters right.",
      reached: () => offIn(0) + offIn(1) >= 6 && isPlain() && longEnough() && accuracy() >= 0.9,
    },
    {
      text: "All heads are on: break the copying with one choice that layer 1 does not notice.",
      reached: () => offIn(0) + offIn(1) === 0 && !isPlain() && longEnough() && accuracy() <= 0.3,
    },
    {
      text: "Let the stripe of layer 2 move by one position: the model skips a letter.",
      reached: () => w.get("key_source") === "from one position earlier" && offIn(0) + offIn(1) < 8,
    },
    {
      text:
        "Nothing is switched off: find a pattern of 5 letters or more of which the model gets " +
        "less than 8 of 10 right.",
      reached: () => offIn(0) + offIn(1) === 0 && isPlain() && longEnough() && accuracy() < 0.8,
    },
  ];
};

export default { render: onceShown(render) };
