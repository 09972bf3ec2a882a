// The alignment explorer: two models read a date while it is typed.
import { halvesOf } from "../widgets/kit/buffers.js";
import { button, field } from "../widgets/kit/controls.js";
import { clamp, element, fixed, freshId } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { remembering } from "../widgets/kit/remember.js";
import { pythonForCell } from "../widgets/kit/share.js";
import { onThemeChange, shadesOf } from "../widgets/kit/theme.js";
import { alignmentMap } from "./alignment.js";
import { readText, resultsOf, STEPS } from "./compute.js";
import { colourKey } from "./key.js";
import { isImpossible, spoken } from "./spoken.js";
import { writtenPanel } from "./written.js";

const dataOf = (model) => ({
  _floats: halvesOf(model.get("_floats")),
  _shapes: model.get("_shapes"),
  _characters: model.get("_characters"),
});

// What is read, and what both models write.
const reading = (state) => {
  const found = readText(state);
  const written = (reader) => reader.written.map((i) => state._characters[1][i]).join("");
  return { ...found, answer: written(found.own), other: written(found.fixedOne) };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  if (model.get("_own_model")) w.python = pythonForCell("explorer");
  const data = dataOf(model);
  const readNow = remembering(["text"], reading);
  const view = {
    w,
    known: data._characters[0],
    classes: data._characters[1].length,
    examples: model.get("_examples"),
    begun: w.get("text"),
    nothing: false, // to read in the field
    pointed: null, // the step under the pointer, shown instead of the chosen one
    now: () => readNow({ ...data, text: w.get("text") }),
    step: () => view.pointed ?? w.get("step"),
    choose: (t) => chooseStep(view, t),
    point: (t) => pointAt(view, t),
    weight(t, s) {
      const { own, read } = view.now();
      return own.weights[t * read.length + s];
    },
  };
  addParts(view);
  view.shades = shadesOf(w.box);
  view.key.draw(view.shades);
  onThemeChange(() => {
    view.shades = shadesOf(w.box);
    view.key.draw(view.shades);
    draw(view);
  }, signal);
  w.goals(goalsOf(view), () => {
    view.nothing = false;
    view.typed.value = view.begun;
  });
  w.begin(
    () => draw(view),
    () => resultsOf(view.now()),
  );
}

const addParts = (view) => {
  const { w, examples } = view;
  const typed = element("input", {
    type: "text",
    id: freshId(),
    className: "aw-al-typed",
    maxLength: w.spec("text").max,
    spellcheck: false,
    autocomplete: "off",
  });
  w.show("text", (text) => {
    if (typed.value.trim() !== text.trim()) typed.value = text;
  });
  typed.addEventListener("input", () => takeText(view, typed.value));
  const shelf = examples.map((text) =>
    button(text, () => {
      typed.value = text;
      takeText(view, text);
    }),
  );
  const group = { className: "aw-al-examples", role: "group", ariaLabel: "examples" };
  w.controls.append(field(w.spec("text").label, typed), element("div", group, ...shelf));
  Object.assign(view, {
    typed,
    written: writtenPanel(view),
    alignment: alignmentMap(view),
    key: colourKey(),
  });
  w.stage.append(...view.written.nodes, view.alignment.node, view.key.node);
};

// The form of the answer itself, which many type first, is none of the fifteen that were trained.
const UNTRAINED = /^\d{4}[-.]\d/;
const NOT_TRAINED =
  "The models have never read a date in this form, so they may write anything. Try 2019/3/3.";

const takeText = (view, text) => {
  const { w, known } = view;
  const characters = [...text.toLowerCase()];
  view.nothing = !characters.some((c) => c !== " " && known.includes(c));
  w.stage.hidden = view.nothing;
  if (view.nothing) {
    w.say("Nothing to read yet: type a date, in letters and digits.");
    return;
  }
  const unknown = [...new Set(characters.filter((c) => !known.includes(c)))];
  w.set("text", text);
  if (unknown.length) w.say(`The models do not know ${unknown.join(" ")}: left out.`);
  else w.say(UNTRAINED.test(text.trim()) ? NOT_TRAINED : "");
  w.commitSoon();
};

// Chooses a character of the output, says where it looks, and returns which one it is.
const chooseStep = (view, t) => {
  const to = clamp(t, 0, STEPS - 1);
  pointAt(view, null);
  if (to !== view.step()) {
    view.w.set("step", to);
    view.w.commitSoon();
  }
  tell(view, to);
  return to;
};

// Shows a step while the pointer is on it; null shows the chosen one again.
const pointAt = (view, t) => {
  if (t === view.pointed) return;
  view.pointed = t;
  draw(view);
  if (t !== null) tell(view, t);
};

const tell = (view, t) => {
  const { read, answer, own } = view.now();
  if (!read.length) return;
  const looks = read
    .map((character, s) => ({ weight: view.weight(t, s), character, s }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, 3)
    .filter(({ weight }) => weight >= 0.05)
    .map(({ weight, character, s }) => `${spoken(character)} (${s + 1}): ${fixed(weight)}`);
  const probability = fixed(own.probabilities[t * view.classes + own.written[t]]);
  const where = looks.join(", ") || "nowhere in particular";
  const which = `Character ${t + 1} of the date, ${spoken(answer[t])}`;
  view.w.say(`${which}, probability ${probability}, looks at ${where}.`);
};

const draw = (view) => {
  view.w.stage.hidden = view.nothing;
  view.alignment.draw(view.shades);
  view.written.draw(view.shades);
};

const goalsOf = (view) => {
  const { w, begun, examples, now } = view;
  const isOwn = () => w.get("text") !== begun && !examples.includes(w.get("text"));
  const weightOnLetters = (t) =>
    now().read.reduce((sum, c, s) => sum + (/[a-z]/.test(c) ? view.weight(t, s) : 0), 0);
  return [
    {
      text:
        "Step to the output character that reads the month’s name: letters get at least 0.50 " +
        "of its attention.",
      reached: () => [5, 6].includes(w.get("step")) && weightOnLetters(w.get("step")) >= 0.5,
    },
    {
      text:
        "Write a date on which the two models differ in one half only: same year, another month " +
        "or day.",
      reached: () => {
        const { answer, other } = now();
        return isOwn() && answer.slice(0, 4) === other.slice(0, 4) && answer !== other;
      },
    },
    {
      text: "Make the model with attention write a day that no calendar has.",
      reached: () => isOwn() && isImpossible(now().answer),
    },
  ];
};

export default { render: onceShown(render) };
