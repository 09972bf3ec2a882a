// The live writer: what the model expects next, where its heads look, and writing letter by letter.
import { floatsOf, tensorsOf } from "../widgets/kit/buffers.js";
import { button, slider } from "../widgets/kit/controls.js";
import { element, fixed, freshId } from "../widgets/kit/dom.js";
import { fileOffer } from "../widgets/kit/files.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { remembering } from "../widgets/kit/remember.js";
import { onThemeChange, shadesOf } from "../widgets/kit/theme.js";
import { askingIn, distribution, predict, windowOf } from "./compute.js";
import { headStrips, letterLine } from "./letters.js";
import { nextLetters } from "./next.js";
import { readerOf } from "./reader.js";

const PACE = 70; // milliseconds a letter
const FILE = "writer.safetensors";
const HINT = "Load the model to see what it expects after this text.";
const SAMPLING = ["temperature", "top_k", "top_p"];

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const view = {
    w,
    hint: HINT,
    letters: model.get("_letters"),
    sizes: model.get("_sizes"),
    most: w.spec("text").max,
    reader: null, // the model, once it is loaded
    isOwn: false, // the reader has typed all of the text
    picked: null, // the text for which the reader has chosen a head
    pen: null, // a timer, while it writes
    shades: shadesOf(w.box),
  };
  const windowNow = remembering(["text"], ({ text }) =>
    windowOf({ text, _letters: view.letters, _sizes: view.sizes }),
  );
  const resultsNow = remembering(["text", "back", "isThere", ...SAMPLING], () => resultsOf(view));
  Object.assign(view, {
    seen: () => {
      const seen = windowNow(w.state(["text"]));
      return { ...seen, asking: askingIn(seen.tokens.length, w.get("back")) };
    },
    now: () => {
      const isThere = [Boolean(view.reader), view.reader ? null : model.get("_known")];
      const results = resultsNow({ ...w.state(["text", "back", ...SAMPLING]), isThere });
      const { tokens, asking } = view.seen();
      return { results, came: view.letters[tokens[asking + 1]] };
    },
    rowOf: (layer, head) => rowOf(view, layer, head),
    ask: (at) => {
      w.set("back", view.seen().tokens.length - 1 - at);
      w.commitSoon();
    },
    append: (letter) => write(view, letter),
  });
  addParts(view);
  onThemeChange(() => {
    view.shades = shadesOf(w.box);
    draw(view);
  }, signal);
  signal?.addEventListener("abort", () => rest(view));
  w.goals(goalsOf(view), () => {
    Object.assign(view, { isOwn: false, picked: null });
    rest(view);
  });
  model.on("change:_known", () => draw(view)); // a kernel has computed
  w.begin(
    () => draw(view),
    () => view.now().results ?? {},
  );
}

// ---- what the model says

// From the model, or, before it is there, what Python has computed, if it was for this text.
const resultsOf = (view) => {
  const { w, reader, letters, sizes } = view;
  const state = { ...w.state(["text", "back", ...SAMPLING]), _letters: letters, _sizes: sizes };
  if (reader) return predict({ ...state, reader });
  if (JSON.stringify(w.get("_known")) !== JSON.stringify([state.text, state.back])) return null;
  const [logits, weights, losses] = ["logits", "weights", "losses"].map((name) =>
    floatsOf(w.get(name)),
  );
  return { logits, probabilities: distribution(logits, state), weights, losses };
};

// What the asking letter gives each letter up to itself, in one head.
const rowOf = (view, layer, head) => {
  const { results } = view.now();
  if (!results?.logits.length) return null;
  const count = view.seen().asking + 1;
  const from = ((layer - 1) * view.sizes[1] + head - 1) * count;
  return results.weights.slice(from, from + count);
};

// ---- the parts

const addParts = (view) => {
  const { w } = view;
  const use = (bytes) => {
    view.reader = readerOf(tensorsOf(bytes), view.sizes);
    draw(view);
    w.say("The model is loaded: type, or let it write.");
    view.tools.letter.focus();
    w.commit();
  };
  const typed = typedField(view);
  const tools = writingTools(view);
  const notes = element("p", { className: "aw-lw-notes" });
  const unknown = element("p", { role: "status" }); // read aloud; the others change all the time
  const line = letterLine(view);
  const heads = headStrips(view);
  const next = nextLetters(view);
  Object.assign(view, { typed, tools, notes, unknown, line, heads, next });
  w.controls.append(typed.node, tools.node, ...SAMPLING.map((name) => sliderOf(w, name)));
  const hint = element("p", { className: "aw-lw-title" });
  hint.textContent = "What each head looks at (layer.head); choose one for the colours above";
  hint.dataset.exportText = "";
  const parts = [line.node, unknown, notes, hint, heads.node];
  const read = element("div", { className: "aw-lw-read" }, ...parts);
  w.stage.append(fileOffer(w, FILE, { what: "model", use }), read, next.node);
};

const sliderOf = (w, name) =>
  slider(w, name, { format: (v) => (name === "top_k" ? `${v}` : fixed(v)) });

const typedField = (view) => {
  const { w } = view;
  const input = element("textarea", { id: freshId(), rows: 3, maxLength: view.most });
  input.spellcheck = false;
  w.show("text", (text) => {
    if (input.value !== text) input.value = text;
  });
  input.addEventListener("input", () => {
    rest(view);
    if (!w.get("text")) view.isOwn = true;
    w.set("back", 0);
    w.set("text", input.value);
    w.commitSoon();
  });
  // no setting of the saved picture, where the letters say the same
  const label = element("label", { htmlFor: input.id, textContent: w.spec("text").label });
  return { node: element("div", { className: "aw-lw-typed" }, label, input), input };
};

const writingTools = (view) => {
  const { w } = view;
  const letter = button("One letter", () => writeOn(view));
  const on = button("Write on", () => (view.pen ? rest(view) : start(view)));
  const clear = button("Clear", () => {
    rest(view);
    w.set("back", 0);
    w.set("text", "");
    view.typed.input.focus();
    w.commit();
  });
  return { node: element("div", { className: "aw-lw-tools" }, letter, on, clear), letter, on };
};

// ---- writing

const write = (view, letter) => {
  const { w } = view;
  const text = w.get("text");
  if (text.length >= view.most) {
    rest(view);
    w.say(`The text is full: ${view.most} characters. Clear some of it.`);
    return;
  }
  view.isOwn = false;
  w.set("back", 0);
  w.set("text", text + letter);
  if (!view.pen) w.commitSoon();
};

// Draws a letter from the probabilities after the last one.
const writeOn = (view) => {
  view.w.set("back", 0);
  const { probabilities } = view.now().results;
  let left = Math.random();
  const drawn = probabilities.findIndex((p) => {
    left -= p;
    return left < 0;
  });
  // sums that end a hair below 1 leave the likeliest
  const token = drawn < 0 ? probabilities.indexOf(Math.max(...probabilities)) : drawn;
  if (token < 0) view.w.say("Write a letter first: the model needs one to begin with.");
  else write(view, view.letters[token]);
  return token >= 0;
};

const start = (view) => {
  const go = () => {
    view.pen = setTimeout(go, PACE);
    if (!writeOn(view)) rest(view);
  };
  go();
  draw(view);
};

const rest = (view) => {
  if (!view.pen) return;
  clearTimeout(view.pen);
  view.pen = null;
  view.w.commit();
};

// ---- drawing on the screen

const draw = (view) => {
  const { results } = view.now();
  const { letter, on } = view.tools;
  letter.disabled = on.disabled = !view.reader;
  on.ariaPressed = String(Boolean(view.pen));
  on.textContent = view.pen ? "Stop" : "Write on";
  view.line.draw();
  view.heads.draw();
  view.next.draw();
  const letters = Array.from(view.w.get("text"));
  view.unknown.textContent = unknownText(letters.filter((c) => !view.letters.includes(c)));
  view.notes.textContent = notesOf(view, letters, results).join(" ");
};

const unknownText = (letters) => {
  const different = [...new Set(letters)];
  if (!different.length) return "";
  const named = different.slice(0, 6).map((letter) => `“${letter}”`);
  const more = different.length > 6 ? " and others" : "";
  return `The model has never seen ${named.join(", ")}${more}: it reads without them.`;
};

const notesOf = (view, letters, results) => {
  const { tokens } = view.seen();
  const known = letters.filter((letter) => view.letters.includes(letter)).length;
  const notes = [];
  if (tokens.length < known)
    notes.push(
      `It reads the last ${tokens.length} of ${known} letters: ` +
        `whenever ${view.sizes[2]} are full, it forgets the older half.`,
    );
  if (results?.losses.length) notes.push(`Loss: ${fixed(meanLoss(results))} nats a letter.`);
  return notes;
};

const meanLoss = ({ losses }) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length;

// ---- goals

const goalsOf = (view) => {
  const { w } = view;
  const isPlain = () =>
    w.get("temperature") === 1 && w.get("top_k") === w.spec("top_k").max && w.get("top_p") === 1;
  const best = () => Math.max(...(view.now().results?.probabilities ?? []));
  const given = () => rowOf(view, w.get("layer"), w.get("head"))?.at(-2) ?? 0;
  return [
    {
      text:
        "Clear the text and type at least 8 letters after which one letter has at least 0.99, " +
        "at temperature 1 and with all letters allowed.",
      reached: () => view.isOwn && isPlain() && view.seen().asking >= 7 && best() >= 0.99,
    },
    {
      text: "Choose a head that gives at least 0.90 to the letter before the asking one.",
      reached: () => view.picked === w.get("text") && given() >= 0.9,
    },
    {
      text:
        "Write like the novel: clear the text and type at least 30 letters with a loss of at " +
        "most 1.20.",
      reached: () => {
        const { results } = view.now();
        return view.isOwn && results?.losses.length >= 29 && meanLoss(results) <= 1.2;
      },
    },
  ];
};

export default { render: onceShown(render) };
