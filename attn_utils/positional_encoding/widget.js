// A position as the time on a row of clocks: its encoding, its scores, and what shuffling words
// does.
import { floatsOf } from "../widgets/kit/buffers.js";
import { button, select, slider } from "../widgets/kit/controls.js";
import { element } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { remembering } from "../widgets/kit/remember.js";
import { clockPanel, counterPanel, TAU } from "./clocks.js";
import { attendWords, encode, vectorOf } from "./compute.js";
import { curvePanel, matrixPanel, pairMap } from "./maps.js";
import { wordPanel } from "./words.js";

const CONTROLS = ["encoding", "position", "width", "base", "look_back", "positions_on", "order"];

const dataOf = (model) => ({
  _sizes: model.get("_sizes"),
  _words: model.get("_words"),
  _starts: model.get("_starts"),
  _table: floatsOf(model.get("_table")),
  _layer: floatsOf(model.get("_layer")),
});

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const data = dataOf(model);
  const state = () => ({ ...data, ...w.state(CONTROLS) });
  const encoded = remembering(["encoding", "width", "base", "look_back"], encode);
  const attended = remembering(["encoding", "base", "positions_on", "order"], attendWords);
  const view = {
    w,
    state,
    encoding: () => encoded(state()),
    layer: () => attended(state()),
    rows: data._sizes[0],
    trained: data._sizes[1],
    stop: undefined, // ends the running of the clocks
    drawn: null, // the encoding that the score map and the curve show
  };
  addControls(view);
  addPanels(view);
  w.goals(goalsOf(view), view.stop);
  w.begin(
    () => draw(view),
    () => resultsOf(view),
  );
}

const resultsOf = (view) => {
  const encoding = view.encoding();
  const { matrix, scores, curve } = encoding;
  const { outputs, changes } = view.layer();
  return { vector: vectorOf(view.state(), encoding), matrix, scores, curve, outputs, changes };
};

// ---- the parts

const addControls = (view) => {
  const { w } = view;
  const whole = { format: (v) => v.toFixed(0) };
  const position = slider(w, "position", whole);
  position.classList.add("aw-scrub");
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const run = isStill ? [] : [runButton(view)];
  w.controls.append(
    element("div", { className: "aw-scrub-line" }, position, ...run),
    select(w, "encoding"),
    slider(w, "width", whole),
    slider(w, "base", { format: (v) => Math.round(v).toLocaleString("en-GB"), log: true }),
    slider(w, "look_back", whole),
  );
};

const runButton = (view) => {
  const { w, rows } = view;
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    node.textContent = "Run the clocks";
  };
  const step = () => {
    w.set("position", Math.min(rows - 1, w.get("position") + 1));
    if (w.get("position") < rows - 1) return;
    stop();
    w.commit();
  };
  const node = button("Run the clocks", () => {
    if (timer) {
      stop();
      w.commit();
      return;
    }
    if (w.get("position") >= rows - 1) w.set("position", 0);
    node.textContent = "Stop";
    timer = setInterval(step, 180);
  });
  w.signal?.addEventListener("abort", () => clearInterval(timer));
  view.stop = stop; // also what Reset does
  return node;
};

const addPanels = (view) => {
  const { w, rows, trained } = view;
  const room = w.stage.clientWidth || 670; // read once: asking again after a change costs a layout
  const side = room >= 560 ? Math.round((room - 16) / 2) - 84 : Math.min(room - 80, 300);
  const learned = () => w.get("encoding") === "learned";
  Object.assign(view, {
    clocks: clockPanel(room),
    counter: counterPanel(),
    legend: element("p", { className: "aw-legend" }),
    refusal: element("p", { className: "aw-refusal", role: "alert" }),
    matrix: matrixPanel(w, { rows, trained, side, learned }),
    pairs: pairMap(w, trained, side),
    curve: curvePanel(trained, room),
    words: wordPanel(w, w.model.get("_words"), view.layer),
  });
  const clockPlace = element("div", { className: "aw-clock-place" }, view.clocks.node);
  const lower = [view.matrix.node, view.pairs.node, view.curve.node];
  w.stage.append(
    element(
      "div",
      { className: "aw-upper" },
      ...[clockPlace, view.refusal, view.legend, view.counter.node],
    ),
    element("div", { className: "aw-lower" }, ...lower),
    view.words.node,
  );
};

// ---- drawing

const draw = (view) => {
  keepPermutation(view.w);
  const [state, encoding] = [view.state(), view.encoding()];
  view.matrix.draw(state, encoding);
  if (encoding !== view.drawn) {
    const { scores, low, high } = encoding;
    view.pairs.draw(scores, [Math.min(0, ...low), Math.max(0, ...high)]);
    view.curve.draw(state, encoding);
    view.drawn = encoding;
  }
  view.pairs.mark(state.position);
  view.clocks.draw(state, encoding);
  view.counter.draw(state.position);
  view.words.draw();
  const refusal = refusalOf(view, state);
  // said only once: an alert is read aloud whenever it is written
  if (view.refusal.textContent !== refusal) view.refusal.textContent = refusal;
  view.legend.textContent = legendOf(state);
};

// A link may bring an order in which a word stands twice.
const keepPermutation = (w) => {
  const sorted = w.get("order").toSorted();
  if (sorted.some((word, i) => word !== i)) w.set("order", [...sorted.keys()]);
};

const refusalOf = ({ trained }, { encoding, position }) => {
  if (encoding !== "learned" || position < trained) return "";
  const rows = `The learned table has rows 0 to ${trained - 1}.`;
  return `${rows} There is none for position ${position}: an error, not a guess.`;
};

const legendOf = ({ encoding, look_back }) => {
  if (encoding === "learned") {
    const still = look_back ? " No matrix shifts it: looking back does nothing here." : "";
    return `A learned row has no clockwork: its pairs are drawn as hands, of any length.${still}`;
  }
  const hands =
    encoding === "rotary"
      ? "A query's pairs as hands, turned by position · frequency."
      : "Tip of hand j: (sin, cos), columns 2j and 2j + 1.";
  const back = look_back ? ` Thin hands: where the query looks, ${look_back} back.` : "";
  return `${hands} Below each: positions in a full turn.${back}`;
};

// ---- goals

const goalsOf = (view) => {
  const { w, trained } = view;
  const at = () => w.get("position");
  const isTurning = () => w.get("encoding") !== "learned";
  const reachFrom = (from, to) => view.encoding().reach.subarray(from, to);
  const bestMatch = (i) => {
    const row = view.encoding().scores.subarray(i * trained, (i + 1) * trained);
    return row.indexOf(Math.max(...row));
  };
  return [
    {
      text:
        "Find a position above 0 at which the fastest hand is back at the start " +
        "(within 0.05 radian).",
      reached: () =>
        isTurning() && at() > 0 && Math.abs(at() - TAU * Math.round(at() / TAU)) < 0.05,
    },
    {
      text:
        "Make two positions below 60, at least 10 apart, look nearly the same (score 0.98), " +
        "with a base below 1,000: which width and base?",
      reached: () =>
        isTurning() && w.get("base") < 1000 && reachFrom(10, 60).some((score) => score >= 0.98),
    },
    {
      text:
        "Make the score fall to half within 5 positions, and stay below for all offsets that " +
        "follow.",
      reached: () => isTurning() && reachFrom(5, trained).every((score) => score <= 0.5),
    },
    {
      text: "At position 20, make the best match position 12.",
      reached: () => at() === 20 && bestMatch(20) === 12,
    },
    {
      text: "Shuffle so that an output changes by more than 0.1.",
      reached: () => Math.max(...view.layer().changes) > 0.1,
    },
    {
      text: "Ask the learned table for a position that it does not have.",
      reached: () => !isTurning() && at() >= trained,
    },
  ];
};

export default { render: onceShown(render) };
