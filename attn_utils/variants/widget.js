// A small trained model whose attention can be changed: what it hides, what it saves, what is lost.
import { halvesOf } from "../widgets/kit/buffers.js";
import { select, slider, toggle } from "../widgets/kit/controls.js";
import { element, fixed } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { remembering } from "../widgets/kit/remember.js";
import { onThemeChange } from "../widgets/kit/theme.js";
import { billPanel } from "./bill.js";
import { compute, isFetching } from "./compute.js";
import { largeMap, rampWithGrey, shadesOf, smallMaps } from "./maps.js";
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
    said: "", // the last summary
    hidings: new Map(), // losses with and without the first word, by the other controls
    colours: rampWithGrey(w.box),
  };
  addControls(view);
  addPanels(view);
  onThemeChange(() => {
    view.colours = rampWithGrey(w.box);
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

const LEGEND =
  "Shaded: what the asking word attends to, in the head shown large; struck out: hidden from it. " +
  "The line below a word is the probability that the model gave it. Framed: drinks of guests who " +
  "were there before.";

const textOf = ({ w, data }) => data._texts[Number(w.get("text")) - 1];
const wordAt = (view, i) => view.data._words[textOf(view)[i]];

// ---- drawing

const draw = (view) => {
  const { w, data, rows } = view;
  const results = view.now();
  const [layer, head, query] = ["layer", "head", "query"].map(w.get);
  const [heads] = data._sizes;
  const square = rows * rows;
  const weightsOf = (l, h) => {
    const from = ((l - 1) * heads + h - 1) * square;
    return results.weights.subarray(from, from + square);
  };
  const allowedIn = (l) => results.allowed.subarray((l - 1) * square, l * square);
  const shadesOfHead = (l, h) => shadesOf(weightsOf(l, h), allowedIn(l), rows);
  const [weights, allowed] = [weightsOf(layer, head), allowedIn(layer)];
  const which = Number(w.get("text")) - 1;
  view.bill.draw(results, view.unchanged[which], sumsOf(view, results));
  view.large.draw(weights, allowed, shadesOfHead(layer, head), { layer, head, query });
  const groups = Number(w.get("kv_heads"));
  view.small.draw(shadesOfHead, { layer, head, groups }, view.colours);
  const row = weights.subarray(query * rows, (query + 1) * rows);
  view.strip.draw({
    ...{ query, row, loss: results.loss, known: new Set(data._known[which]) },
    words: textOf(view).map((word) => data._words[word]),
    allowed: allowed.subarray(query * rows, (query + 1) * rows),
    told: toldOf(view, row, results.loss[query]),
  });
  noteHiding(view, results);
  tell(view, results);
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
    if (l && fetches) return `layer 2 all ${rows}, each with ${index} bytes for the indexer`;
    return `layer ${l + 1} ${seen}`;
  });
  const heads = groups === 1 ? "head" : "heads";
  return (
    `Words kept: ${parts.join(", ")}. A word takes key and value · ${groups} ${heads} · ` +
    `8 numbers · 2 bytes = ${word} bytes.`
  );
};

const tell = (view, results) => {
  const [all, known] = results.total;
  const bytes = results.kept.reduce((a, b) => a + b, 0);
  const text =
    `Cache ${bytes.toLocaleString("en")} bytes; loss of known orders ${fixed(known)}, ` +
    `of all words ${fixed(all)}.`;
  if (text !== view.said) view.w.say(text);
  view.said = text;
};

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
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
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
