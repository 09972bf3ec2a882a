// A small trained model whose attention can be changed: what it hides, what it saves, what is lost.
import { halvesOf } from "../widgets/kit/buffers.js";
import { select, slider, toggle } from "../widgets/kit/controls.js";
import { element, fixed } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { remembering } from "../widgets/kit/remember.js";
import { onThemeChange } from "../widgets/kit/theme.js";
import { billPanel, bytes, sum } from "./bill.js";
import { compute, isFetching } from "./compute.js";
import { colouredParts, largeMap, rampWithGrey, smallMaps } from "./maps.js";
import { textStrip } from "./strip.js";

const VARIANT = ["kv_heads", "trained", "window1", "window2", "first", "fetched", "cap"];
const ALL = ["text", ...VARIANT];
const integer = (value) => value.toFixed(0);

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const data = dataOf(model);
  const rows = data._texts[0].length - 1;
  const computed = remembering(ALL, compute);
  const view = {
    ...{ w, data, rows, unchanged: unchangedOf(data, rows) },
    now: () => computed({ ...data, ...w.state(ALL) }),
    hidings: new Map(), // losses with and without the first word, by the other controls
    painted: null, // the results that the maps show
    colours: rampWithGrey(w.box), // until the theme changes
  };
  addControls(view);
  addPanels(view);
  onThemeChange(() => {
    Object.assign(view, { painted: null, colours: rampWithGrey(w.box) });
    draw(view);
  }, signal);
  w.goals(goalsOf(view), () => view.hidings.clear());
  w.begin(
    () => draw(view),
    () => view.now(),
  );
}

const dataOf = (model) => ({
  _floats: halvesOf(model.get("_floats")),
  ...Object.fromEntries(
    ["_shapes", "_sizes", "_words", "_texts", "_known"].map((name) => [name, model.get(name)]),
  ),
});

// The results of the model as it was trained, for each text.
const unchangedOf = (data, rows) => {
  const whole = { window1: rows, window2: rows, first: true, fetched: 0, cap: "off" };
  const state = { ...data, ...whole, kv_heads: String(data._sizes[0]), trained: false };
  return data._texts.map((_, k) => compute({ ...state, text: String(k + 1) }));
};

// ---- the parts

const addControls = ({ w, rows }) => {
  w.controls.before(element("p", { className: "aw-story", textContent: STORY }));
  const span = (value) => (value === rows ? "all" : integer(value));
  w.controls.append(
    select(w, "text"),
    select(w, "kv_heads"),
    toggle(w, "trained"),
    slider(w, "window1", { format: span }),
    slider(w, "window2", { format: span }),
    toggle(w, "first"),
    slider(w, "fetched", { format: integer }),
    select(w, "cap"),
  );
};

const addPanels = (view) => {
  const { w, rows, data } = view;
  const [heads] = data._sizes;
  const ask = (i) => {
    w.set("query", Math.min(i, rows - 1));
    w.commit();
  };
  Object.assign(view, {
    bill: billPanel(),
    strip: textStrip(rows + 1, ask),
    large: largeMap(w, rows, (i) => wordAt(view, i)),
    small: smallMaps(w, 2, heads, rows),
  });
  const asking = slider(w, "query", { format: integer });
  w.stage.append(
    view.bill.node,
    element(
      "section",
      { className: "aw-reading-room" },
      asking,
      view.strip.node,
      element("p", { className: "aw-legend", textContent: LEGEND }),
    ),
    view.large.node,
    view.small.node,
  );
};

const STORY =
  "A small model reads orders in a café and predicts each next word. Who comes next is chance; " +
  "what a guest drinks stands in the text from the first order on, and the model has to find it. " +
  "You change what its attention may see; its weights stay as they were trained, unless you tick " +
  "the box.";
const LEGEND =
  "Shaded: what the asking word attends to in the head shown large; struck out: hidden from it. " +
  "Framed: known orders, drinks of guests who were there before. The line below a word is the " +
  "probability that the model gave it, in the colour of the losses where a known order got less " +
  "than a half.";

const textOf = ({ w, data }) => data._texts[Number(w.get("text")) - 1];
const wordAt = (view, i) => view.data._words[textOf(view)[i]];

// ---- drawing

const draw = (view) => {
  const { w, data, rows } = view;
  const results = view.now();
  const [layer, head, query] = ["layer", "head", "query"].map(w.get);
  const [heads] = data._sizes;
  const square = rows * rows;
  const which = Number(w.get("text")) - 1;
  if (results !== view.painted) {
    view.shades = colouredParts(results, heads, rows);
    view.small.paint(view.shades, view.colours);
    view.bill.draw(results, view.unchanged[which], sumsOf(view, results));
    noteHiding(view, results);
    tell(view, results);
    view.painted = results;
  }
  const ofHead = ((layer - 1) * heads + head - 1) * square;
  const [weights, shades] = [results.weights, view.shades].map((all) =>
    all.subarray(ofHead, ofHead + square),
  );
  const allowed = results.allowed.subarray((layer - 1) * square, layer * square);
  view.large.draw(weights, allowed, shades, { layer, head, query });
  view.small.mark({ layer, head, groups: Number(w.get("kv_heads")) });
  const [row, allowedRow] = [weights, allowed].map((all) =>
    all.subarray(query * rows, (query + 1) * rows),
  );
  view.strip.draw({
    ...{ query, row, allowed: allowedRow, loss: results.loss },
    known: new Set(data._known[which]),
    words: textOf(view).map((word) => data._words[word]),
    told: toldOf(view, row, results.loss[query]),
  });
};

// What the asking word attends to, in words.
const toldOf = (view, row, loss) => {
  const query = view.w.get("query");
  const most = row.indexOf(Math.max(...row));
  return (
    `${wordAt(view, query)}, word ${query}, attends most to ${wordAt(view, most)}, word ${most}: ` +
    `${fixed(row[most])}. The next word, ${wordAt(view, query + 1)}, was predicted with ` +
    `${fixed(Math.exp(-loss))}.`
  );
};

// How the bytes of the cache come about.
const sumsOf = ({ w, rows, data }, { allowed }) => {
  const groups = Number(w.get("kv_heads"));
  const [word, index] = [2 * groups * 8 * 2, 2 * data._sizes[1]];
  const fetches = isFetching(w.state(ALL), rows);
  const parts = [0, 1].map((l) => {
    const last = ((l + 1) * rows - 1) * rows;
    const seen = allowed.subarray(last, last + rows).reduce((a, b) => a + b, 0);
    if (l && fetches) return `layer 2: all ${rows}, each with ${index} bytes for the indexer`;
    return `layer ${l + 1}: ${seen}`;
  });
  const heads = groups === 1 ? "head" : "heads";
  return (
    `Words kept: ${parts.join(", ")}. A word takes key and value · ${groups} ${heads} · ` +
    `8 numbers · 2 bytes = ${word} bytes.`
  );
};

const tell = ({ w }, { kept, total: [all, known] }) =>
  w.say(
    `Cache ${bytes(sum(kept))}; loss of known orders ${fixed(known)}, of all words ${fixed(all)}.`,
  );

// ---- goals

const noteHiding = ({ w, hidings }, { total }) => {
  const others = ALL.filter((name) => name !== "first");
  const key = JSON.stringify(others.map(w.get));
  const losses = hidings.get(key) ?? {};
  losses[w.get("first")] = total[0];
  hidings.set(key, losses);
};

const goalsOf = (view) => {
  const { w, now, hidings } = view;
  return [
    {
      text:
        "Without fetching: keep the loss of known orders at 0.10 or less with a cache of at most " +
        "2,500 bytes.",
      reached: () => !w.get("fetched") && now().total[1] <= 0.1 && sum(now().kept) <= 2500,
    },
    {
      text:
        "Read at most 1,000 bytes for the next word, with the loss of known orders at 0.10 or " +
        "less.",
      reached: () => now().total[1] <= 0.1 && sum(now().read) <= 1000,
    },
    {
      text:
        "Find a window with which hiding the first word as well makes the loss of all words at " +
        "least 0.5 worse.",
      reached: () => [...hidings.values()].some((losses) => losses.false - losses.true >= 0.5),
    },
  ];
};

export default { render: onceShown(render) };
