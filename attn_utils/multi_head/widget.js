// Heads as coloured lines between queries and keys, a fader for each, and the task's answers with
// them.
import { floatsOf } from "../widgets/kit/buffers.js";
import { button, slider, toggle } from "../widgets/kit/controls.js";
import { element, fixed } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { remembering } from "../widgets/kit/remember.js";
import { pythonForCell } from "../widgets/kit/share.js";
import { answerPanel } from "./answers.js";
import { compute, studyOf } from "./compute.js";
import { faderDesk } from "./desk.js";
import { linePanel } from "./lines.js";

// What the explorer is about: the traits that no reader changes.
const dataOf = (model) => {
  const _shape = model.get("_shape");
  const [N, H, T, S, C] = _shape;
  const [tokens, own] = [model.get("_tokens"), model.get("_query_tokens")];
  return {
    ...{ N, H, T, S, C, _shape, tokens },
    queries: own.length ? own : tokens,
    weights: floatsOf(model.get("_weights")),
    asked: model.get("_asked"),
    heads: model.get("_heads"),
    classes: model.get("_classes"),
    _contributions: floatsOf(model.get("_contributions")),
    _bias: floatsOf(model.get("_bias")),
    _labels: model.get("_labels"),
  };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  if (model.get("_own_data")) w.python = pythonForCell("explorer");
  const data = dataOf(model);
  const computed = remembering(["faders"], compute);
  const view = {
    w,
    data,
    study: studyOf(data),
    now: () => computed({ ...data, faders: w.get("faders") }),
    pointed: -1, // the query under the pointer: its lines are shown, nothing is chosen
    guessed: null, // {example, c}: the reader's last guess
    firsts: new Map(), // example -> whether its first guess, with lines to guess from, was right
  };
  addControls(view);
  addPanels(view);
  w.goals(goalsOf(view), () => Object.assign(view, { guessed: null, firsts: new Map() }));
  w.begin(
    () => draw(view),
    () => view.now(),
  );
}

const askedIn = ({ w, data }) => data.asked[w.get("example")] ?? 0;

// The query whose lines are drawn: pointed at, chosen, or the one that the task asks.
const queryNow = (view) => {
  if (view.pointed >= 0) return view.pointed;
  const chosen = view.w.get("query");
  return chosen < 0 ? askedIn(view) : chosen;
};

const isRightNow = ({ w, data, now }) => {
  const n = w.get("example");
  return now().predicted[n] === data._labels[n];
};

// ---- the parts

const addControls = (view) => {
  const { w, data } = view;
  const { N } = data;
  const nameOfQuery = (v) => {
    if (v < 0) return data.asked.length ? "the one asked" : "first";
    return data.queries[w.get("example")][v];
  };
  const go = (by) => {
    w.set("example", (w.get("example") + by + N) % N);
    w.commit();
  };
  const query = slider(w, "query", { format: nameOfQuery });
  query.classList.add("aw-query-field");
  w.controls.append(
    slider(w, "example", { format: (v) => `${v + 1} of ${N}` }),
    button("◀", () => go(-1), { ariaLabel: "previous example" }),
    button("▶", () => go(1), { ariaLabel: "next example" }),
    button("Next wrong answer", () => goToWrong(view)),
    query,
    toggle(w, "guessing"),
  );
  w.show("example", (example) => {
    // the query's value names a token of the example
    query.querySelector(".aw-value").textContent = nameOfQuery(w.get("query"));
    if (view.guessed?.example !== example) view.guessed = null;
  });
  w.show("guessing", (on) => {
    if (!on) view.guessed = null;
  });
};

const goToWrong = ({ w, data, now }) => {
  const { predicted } = now();
  const { N, _labels } = data;
  const following = Array.from({ length: N }, (_, k) => (w.get("example") + 1 + k) % N);
  const next = following.find((n) => predicted[n] !== _labels[n]);
  if (next === undefined) {
    w.say("No stored example is answered wrongly.");
    return;
  }
  w.set("example", next);
  w.commit();
};

const addPanels = (view) => {
  const { w, data } = view;
  const paragraph = (className, textContent = "") => element("p", { className, textContent });
  const level = element("span", { className: "aw-bar" });
  const rest = element("span", { className: "aw-rest" });
  rest.style.left = `${100 * view.study.accuracy}%`;
  const room = w.stage.clientWidth || 670; // read once: asking again after a change costs a layout
  Object.assign(view, {
    level,
    lines: linePanel(data, room, {
      point(i) {
        view.pointed = i;
        draw(view);
      },
      choose(i) {
        w.set("query", i === askedIn(view) ? -1 : i); // -1 follows the task to other examples
        w.commit();
      },
    }),
    desk: faderDesk(w, data.heads),
    answers: answerPanel(data.classes, (c) => guess(view, c)),
    reading: paragraph("aw-reading"),
    tally: paragraph("aw-tally"),
  });
  w.stage.append(
    paragraph("aw-question", w.model.get("_question")),
    view.lines.node,
    view.reading,
    element(
      "section",
      { className: "aw-desk" },
      paragraph("aw-heading", "How loud is each part? A tick draws its lines."),
      view.desk.node,
      view.tally,
      element("span", { className: "aw-track", ariaHidden: "true" }, level, rest),
    ),
    element(
      "section",
      { className: "aw-side-panel" },
      paragraph("aw-heading", "The answer to this example"),
      view.answers.node,
    ),
  );
};

// ---- guessing: what the heads will answer, from their lines

const guess = (view, c) => {
  const { w, data } = view;
  const example = w.get("example");
  const answer = view.now().predicted[example];
  view.guessed = { example, c };
  const isLinesSeen = w.get("faders").some((fader, h) => fader > 0 && w.get("shown")[h] > 0);
  if (!view.firsts.has(example)) view.firsts.set(example, c === answer && isLinesSeen);
  const [own, theirs, right] = [c, answer, data._labels[example]].map((k) => data.classes[k]);
  const praise = c === answer ? " Well read." : "";
  w.say(`You say ${own}, the heads answer ${theirs}, right is ${right}.${praise}`);
  w.commit();
};

// ---- drawing

const draw = (view) => {
  const { w, data, study } = view;
  const { logits, predicted, accuracy } = view.now();
  const [share] = accuracy;
  const [n, query] = [w.get("example"), queryNow(view)];
  const [faders, shown] = [w.get("faders"), w.get("shown")];
  view.lines.draw({ example: n, query, faders, shown });
  view.desk.draw(faders, shown);
  const guessed = view.guessed?.example === n ? view.guessed.c : -1;
  const marks = { answer: predicted[n], right: data._labels[n], guessed };
  const own = logits.subarray(n * data.C, (n + 1) * data.C);
  view.answers.draw(own, marks, w.get("guessing") && guessed < 0);
  view.reading.textContent = readingOf(data, n, query);
  view.lines.node.setAttribute("aria-label", view.reading.textContent);
  const score = `Right on ${Math.round(share * data.N)} of ${data.N} examples`;
  view.tally.textContent =
    `${score}: accuracy ${fixed(share)}. ` + `With all faders at 1: ${fixed(study.accuracy)}.`;
  view.level.style.width = `${100 * share}%`;
};

// What a query looks at, in words: the strongest key of each head.
const readingOf = (data, n, query) => {
  const { H, T, S, weights, heads, tokens, queries } = data;
  const top = heads.map((name, h) => {
    const at = ((n * H + h) * T + query) * S;
    const row = weights.subarray(at, at + S);
    const most = Math.max(...row);
    if (!most) return ""; // a part that has a fader but looks at nothing
    const alike = row.filter((weight) => weight > 0.95 * most).length;
    const where = alike > 1 ? `${alike} alike` : tokens[n][row.indexOf(most)];
    return `${name} → ${where} (${fixed(most)})`;
  });
  return `${queries[n][query]} looks mostly at: ${top.filter(Boolean).join("; ")}.`;
};

// ---- goals

// How many faders are at `value`, if all others are at 1; otherwise none.
const countAt = (w, value) => {
  const faders = w.get("faders");
  if (!faders.every((fader) => fader === 1 || fader === value)) return 0;
  return faders.filter((fader) => fader === value).length;
};

// Those that the data allow.
const goalsOf = (view) => {
  const { w, data, study } = view;
  const { H } = data;
  const share = () => view.now().accuracy[0];
  const muted = () => countAt(w, 0);
  const isNoWorse = (accuracy) => accuracy >= study.accuracy;
  const { withoutOne, withTwo } = study;
  return [
    study.accuracy >= 0.5 &&
      withoutOne.some((accuracy) => accuracy < 0.5) && {
        text: "Push the accuracy below 0.5 by muting one head.",
        reached: () => muted() === 1 && share() < 0.5,
      },
    H > 1 &&
      withoutOne.some(isNoWorse) && {
        text: "Mute a head that the task does not need: no answer becomes wrong.",
        reached: () => muted() >= 1 && muted() < H && isNoWorse(share()),
      },
    withTwo.some(isNoWorse) && {
      text: "Find two heads that are together as good as all.",
      reached: () => muted() === H - 2 && isNoWorse(share()),
    },
    study.canBreak && {
      text: "More is not better: break a right answer by turning one head up to 2.",
      reached: () => countAt(w, 2) === 1 && study.isRight(w.get("example")) && !isRightNow(view),
    },
    {
      text: "Solo a head and find an example that it answers rightly all by itself.",
      reached: () => H > 1 && muted() === H - 1 && isRightNow(view),
    },
    {
      text: "Tick “let me guess first” and predict three examples’ answers from the lines.",
      reached: () => [...view.firsts.values()].filter(Boolean).length >= 3,
    },
  ].filter(Boolean);
};

export default { render: onceShown(render) };
