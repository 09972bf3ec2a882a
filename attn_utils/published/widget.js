// The reaction explorer: a published model reads a reaction here, and one of its heads maps atoms.
import { floatsOf, tensorsOf } from "../widgets/kit/buffers.js";
import { field, slider } from "../widgets/kit/controls.js";
import { element, fixed, freshId, setAll } from "../widgets/kit/dom.js";
import { fileOffer } from "../widgets/kit/files.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { heatmap } from "../widgets/kit/heatmap.js";
import { onThemeChange, shadesOf } from "../widgets/kit/theme.js";
import { inDoubles, mapOf, nextPass, PASSES, startRun } from "./compute.js";
import { drawMolecules, listenOnAtoms, paintAtoms, sidePanel } from "./drawing.js";
import { contradictionsIn, isBalanced, originsOf, scoreOf } from "./mapping.js";
import { readReaction } from "./reading.js";
import { Fault } from "./tokens.js";
import { cellInWords, originInWords, pointedAt, summaryInWords } from "./words.js";

const WORK = 1000; // tokens times passes before the page may draw again

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const view = {
    w,
    vocabulary: model.get("_vocabulary"),
    examples: model.get("_examples"),
    begun: w.get("reaction"), // Python has checked it
    stored: storedMap(w),
    tensors: null,
    shown: null, // the reaction that is drawn
    run: null, // the model's pass over it
    pointed: null, // the atom under pointer or keys, shown instead of the pinned one
    mapped: new Map(), // for each head the examples that it maps
    said: "", // of that atom
    shades: shadesOf(w.box),
  };
  addParts(view);
  onThemeChange(() => {
    view.shades = shadesOf(w.box);
    paint(view);
  }, signal);
  w.goals(goalsOf(view), () => {
    view.mapped.clear();
    view.fault.textContent = "";
    view.typed.value = view.begun;
  });
  // Python has computed another one
  model.on("change:weights", () => {
    if (view.tensors || !w.get("weights").byteLength) return;
    view.stored = storedMap(w);
    paint(view);
  });
  w.begin(
    () => draw(view),
    () => ({ weights: mapNow(view) ?? [] }),
  );
}

// The map that comes with the page, and what it is of: shown until the model is there.
const storedMap = (w) => ({ of: stateKey(w), map: floatsOf(w.get("weights")).slice() });
const stateKey = (w) => JSON.stringify(w.state(["reaction", "layer", "head"]));

const mapNow = ({ w, run, stored }) => {
  if (run?.passed === PASSES) return mapOf(run, w.get("layer"), w.get("head"));
  return stored.of === stateKey(w) && stored.map.length ? stored.map : null;
};

// ---- parts

const addParts = (view) => {
  const { w } = view;
  view.reactants = sidePanel(w, "Reactants");
  view.product = sidePanel(w, "Product");
  listenOnAtoms(view.product, {
    onPoint: (atom) => point(view, atom),
    onPin: (atom) => pin(view, atom),
    present: () => atomNow(view),
  });
  view.summary = element("p", { className: "aw-rx-summary" });
  view.summary.dataset.exportText = "";
  view.fault = element("p", { className: "aw-rx-fault", role: "alert" });
  const hint = element("p", { className: "aw-rx-hint", textContent: HINT });
  view.matrix = element("details", {}, element("summary", { textContent: "The whole map" }));
  view.matrix.addEventListener("toggle", () => paintMatrix(view));
  const offer = fileOffer(w, "reaction_reader.safetensors", {
    what: "model",
    use: (bytes) => takeModel(view, bytes),
  });
  const arrow = element("span", { className: "aw-rx-arrow", ariaHidden: "true" }, "→");
  const sides = [view.reactants.node, arrow, view.product.node];
  w.controls.append(exampleField(view), textField(view), slider(w, "layer", WHOLE));
  w.controls.append(slider(w, "head", WHOLE));
  w.stage.append(
    view.fault,
    offer,
    element("div", { className: "aw-rx-sides" }, ...sides),
    view.summary,
    hint,
    view.matrix,
  );
};

const HINT =
  "Small numbers: atoms of the product, as they are written, and at the reactants' atoms those " +
  "that this head would take from there. Dashed: the map made by hand says otherwise. Point at " +
  "an atom to see its weights. Hydrogen is left out, as in the text.";
const WHOLE = { format: (value) => String(value) };

const exampleField = (view) => {
  const { w, examples } = view;
  const option = (text, value) => element("option", { textContent: text, value });
  const input = element(
    "select",
    { id: freshId() },
    option("your own", ""),
    ...examples.map(([name, reaction]) => option(name, reaction)),
  );
  w.show("reaction", (reaction) => {
    input.value = examples.some(([, known]) => known === reaction) ? reaction : "";
  });
  input.addEventListener("change", () => {
    if (input.value) takeText(view, input.value);
    else view.typed.focus();
  });
  return field("example", input);
};

const textField = (view) => {
  const { w } = view;
  const { max, label } = w.spec("reaction");
  const typed = element("textarea", {
    ...{ id: freshId(), className: "aw-rx-typed", rows: 2, maxLength: max },
    ...{ spellcheck: false, autocomplete: "off", autocapitalize: "off" },
  });
  view.typed = typed;
  w.show("reaction", (text) => {
    if (written(typed) !== text) typed.value = text;
  });
  typed.addEventListener("input", () => takeText(view, written(typed)));
  typed.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(); // a reaction is one line
  });
  const row = field(label, typed);
  row.classList.add("aw-rx-text");
  return row;
};

const written = (typed) => typed.value.replace(/\s+/g, "");

// ---- the reader's doings

// What cannot be read is said, and the last good picture stays.
const takeText = (view, text) => {
  const { w, vocabulary, examples } = view;
  try {
    readReaction(text, vocabulary, examples);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    view.fault.textContent = error.message;
    return;
  }
  view.fault.textContent = "";
  if (text === w.get("reaction")) return;
  w.set("atom", 0);
  w.set("reaction", text);
  w.commitSoon();
};

const point = (view, atom) => {
  if (atom === view.pointed) return;
  view.pointed = atom;
  paint(view);
  if (atomNow(view) === null) view.w.say("");
};

const pin = (view, atom) => {
  const { w } = view;
  const isPinned = atom !== null && w.get("atom") === atom + 1;
  w.set("atom", atom === null || isPinned ? 0 : atom + 1);
  view.pointed = null;
  if (atomNow(view) === null) w.say("");
  w.commit();
};

const takeModel = (view, bytes) => {
  view.tensors = inDoubles(tensorsOf(bytes));
  view.product.root.focus(); // the button goes
  runModel(view);
};

// ---- the model

// Runs the passes, and lets the page breathe between them if the reaction is long.
const runModel = async (view) => {
  const run = startRun(view.tensors, view.shown.ids);
  view.run = run;
  for (let work = run.tokens; run.passed < PASSES; work += run.tokens) {
    if (work > WORK) {
      work = run.tokens;
      view.summary.textContent = `The model reads: pass ${run.passed + 1} of ${PASSES}.`;
      await new Promise((done) => setTimeout(done));
      if (view.run !== run) return; // another reaction meanwhile
    }
    nextPass(run);
  }
  view.w.commit();
};

// ---- drawing

const draw = (view) => {
  const text = view.w.get("reaction");
  if (text !== view.shown?.text) show(view, text);
  paint(view);
};

const show = (view, text) => {
  const { w, vocabulary, examples } = view;
  try {
    view.shown = readReaction(text, vocabulary, examples);
  } catch (error) {
    if (!(error instanceof Fault) || text === view.begun) throw error;
    view.fault.textContent = `The reaction of the link: ${error.message}`;
    w.set("reaction", view.begun);
    show(view, view.begun);
    return;
  }
  view.run = null;
  view.pointed = null;
  drawMolecules(view.reactants, view.shown.reactants);
  drawMolecules(view.product, view.shown.product);
  setAll(view.reactants.root, { role: "img", "aria-label": `Reactants: ${text.split(">>")[0]}` });
  if (view.tensors) runModel(view);
};

const atomNow = ({ w, pointed, shown }) => {
  const atom = pointed ?? w.get("atom") - 1;
  return atom >= 0 && atom < shown.product.atoms.length ? atom : null;
};

const paint = (view) => {
  const { w, shown, shades } = view;
  const map = mapNow(view);
  const atom = atomNow(view);
  view.origins = map && originsOf(map, shown.tokens.length, shown);
  paintAtoms(view.product, shades, productLooks(view, atom));
  paintAtoms(view.reactants, shades, reactantLooks(view, atom));
  if (view.origins)
    view.summary.textContent = summaryInWords(shown, view.origins, w.state(["layer", "head"]));
  else if (!view.tensors)
    view.summary.textContent = "Load the model to see where the atoms of this product come from.";
  const words = atom === null ? "" : atomInWords(view, atom);
  if (words && words !== view.said) w.say(words);
  view.said = words;
  const label = `Product. ${words && `${words} `}Arrow keys go from atom to atom, Enter pins one.`;
  setAll(view.product.root, { "aria-label": label });
  paintMatrix(view);
};

const isWrong = ({ shown: { truth }, origins }, k) =>
  Boolean(truth?.[k].length) && !truth[k].includes(origins[k].atom);

const productLooks = (view, atom) =>
  view.shown.product.atoms.map((_, k) => ({
    weight: view.origins?.[k].weight ?? null,
    sign: String(k + 1),
    ring: k === atom ? "asks" : view.origins && isWrong(view, k) ? "wrong" : "",
  }));

// Of an atom that asks, the weights; else the numbers of the product's atoms that come from each.
const reactantLooks = (view, atom) => {
  const { shown, origins } = view;
  const { atoms } = shown.reactants;
  if (!origins) return atoms.map(() => ({ weight: null, sign: "", ring: "" }));
  if (atom === null)
    return atoms.map((_, r) => {
      const from = origins.flatMap((origin, k) => (origin.atom === r ? [k + 1] : []));
      const sign = from.length > 3 ? `${from[0]}, … ${from.at(-1)}` : from.join(", ");
      return { weight: null, sign, ring: "" };
    });
  const { atom: best, weights } = origins[atom];
  return weights.map((weight, r) => ({
    weight,
    sign: weight >= 0.05 ? fixed(weight) : "",
    ring: r !== best ? "" : isWrong(view, atom) ? "wrong" : "best",
  }));
};

const atomInWords = (view, atom) => {
  const { shown, origins } = view;
  if (!origins) return `${pointedAt(shown, atom)}.`;
  const row = rowOf(mapNow(view), shown, shown.product.atoms[atom].token);
  return originInWords(shown, atom, origins[atom], row);
};
const rowOf = (map, { tokens }, query) =>
  map.subarray(query * tokens.length, (query + 1) * tokens.length);

// The rows of the product's tokens; the columns are all tokens.
const paintMatrix = (view) => {
  const { matrix, shown } = view;
  const map = mapNow(view);
  matrix.hidden = !map;
  if (!map || !matrix.open) return;
  if (view.grid?.of !== shown) newGrid(view);
  const { tokens, arrow } = shown;
  view.grid.map.draw(map.slice((arrow + 1) * tokens.length, (tokens.length - 1) * tokens.length));
  const atom = atomNow(view);
  view.grid.map.mark(atom === null ? -1 : shown.product.atoms[atom].token - arrow - 1);
};

const newGrid = (view) => {
  const { w, shown, matrix } = view;
  const { tokens, arrow } = shown;
  view.grid?.end.abort();
  const end = new AbortController();
  w.signal?.addEventListener("abort", () => end.abort());
  const map = heatmap(
    { ...w, signal: end.signal },
    {
      ...{ rows: tokens.length - arrow - 2, columns: tokens.length, width: 480 },
      ...{ label: "Attention of this head", ylabel: "Product", xlabel: "All tokens, from [CLS]" },
      nameOf: (i, j, weight) => cellInWords(tokens, arrow + 1 + i, j, weight),
    },
  );
  view.grid = { of: shown, map, end };
  matrix.replaceChildren(matrix.firstElementChild, map.node);
};

// ---- goals

const ENOUGH = 0.8; // of the atoms
const EXAMPLES = 3;

const goalsOf = (view) => [
  {
    text: "Find the head that maps: four of five atoms right, in three of the examples.",
    reached: () => mapsEnough(view),
  },
  {
    text:
      "Find the pass in which an example's map appears: four of five atoms are right, and one " +
      "pass earlier fewer are.",
    reached: () => appearsHere(view),
  },
  {
    text:
      "Fool the head that maps: write a reaction of your own, with all atoms that the product " +
      "needs, of which its map cannot be right.",
    reached: () => isFooled(view),
  },
];

const shareRight = ({ shown }, origins) => {
  if (!origins || !shown.truth) return 0;
  const { right, known } = scoreOf(origins, shown.truth);
  return right / known;
};

// Remembers for each head the examples that it has mapped.
const mapsEnough = ({ w, shown, origins, mapped }) => {
  if (shareRight({ shown }, origins) < ENOUGH) return false;
  const head = w.get("head");
  mapped.set(head, new Set(mapped.get(head)).add(shown.text));
  return mapped.get(head).size >= EXAMPLES;
};

const appearsHere = (view) => {
  const { w, run, shown } = view;
  const { layer, head } = w.state(["layer", "head"]);
  if (run?.passed !== PASSES || layer === 1 || shareRight(view, view.origins) < ENOUGH)
    return false;
  const before = originsOf(mapOf(run, layer - 1, head), shown.tokens.length, shown);
  return shareRight(view, before) < ENOUGH;
};

const isFooled = ({ w, shown, origins, mapped }) => {
  const isMapper = mapped.get(w.get("head"))?.size >= EXAMPLES;
  if (!origins || shown.truth || !isMapper || !isBalanced(shown)) return false;
  const { strange, doubled } = contradictionsIn(origins, shown);
  return strange.length + doubled.length > 0;
};

export default { render: onceShown(render) };
