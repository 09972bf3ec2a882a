// Paper to draw on; what the model sees of it, what it answers, and where each of its heads looks.
import { halvesOf } from "../widgets/kit/buffers.js";
import { button, toggle } from "../widgets/kit/controls.js";
import { element, fixed } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { remembering } from "../widgets/kit/remember.js";
import { pythonForCell } from "../widgets/kit/share.js";
import { colourRamp, cssColour, onThemeChange } from "../widgets/kit/theme.js";
import { compute } from "./compute.js";
import { countsOf, isEmpty, pack, SIDE, SIZE, unpack } from "./ink.js";
import { largeMap, paintMap, patchOf, smallMaps, tinyCanvas } from "./maps.js";
import { paper } from "./paper.js";

const EMPTY = pack(new Uint8Array(SIDE * SIDE));

const dataOf = (model) => ({
  _floats: halvesOf(model.get("_floats")),
  _shapes: model.get("_shapes"),
  _sizes: model.get("_sizes"),
});

// The results, and what the panels read off them.
const reading = (state) => {
  const results = compute(state);
  const best = results.probabilities.indexOf(Math.max(...results.probabilities));
  return { results, best, isBlank: isEmpty(unpack(state.drawing)) };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  if (model.get("_own_model")) w.python = pythonForCell("reader");
  const data = dataOf(model);
  const [rows, columns, heads] = data._sizes;
  const read = remembering(["drawing", "fit"], reading);
  const view = {
    w,
    data,
    grid: [rows, columns],
    heads,
    tokens: rows * columns + 1,
    now: () => read({ ...data, drawing: w.get("drawing"), fit: w.get("fit") }),
    past: [], // [drawing, fit, whether it is the reader's own]: the way back
    own: null, // the drawing that began on empty paper
    stroke: {}, // the last one: the readings around it, and what it led to
  };
  addPanels(view);
  readColours(view);
  onThemeChange(() => {
    readColours(view);
    draw(view);
  }, signal);
  w.goals(goalsOf(view));
  w.begin(
    () => draw(view),
    () => view.now().results,
  );
}

// ---- the parts

const addPanels = (view) => {
  const { w, grid, heads, data } = view;
  const sizeOf = (name) => data._shapes.find(([found]) => found === name)[1];
  const layers = data._shapes.filter(([name]) => name.endsWith(".norm1.weight")).length;
  Object.assign(view, {
    thumbs: w.model.get("_examples").map((example, k) => thumbOf(view, example, k)),
    sheet: paperOf(view),
    large: largeMap(w, grid),
    bars: answerBars(sizeOf("head.bias")),
    small: smallMaps(w, grid, layers, heads),
  });
  const group = { className: "aw-examples", role: "group", ariaLabel: "examples" };
  w.controls.append(element("div", group, ...view.thumbs.map((thumb) => thumb.node)));
  const buttons = element("div", { className: "aw-buttons" }, ...penButtons(view));
  w.stage.append(
    element("div", { className: "aw-desk" }, view.sheet.node, buttons, toggle(w, "fit")),
    view.large.node,
    view.bars.node,
    view.small.node,
  );
};

const thumbOf = (view, [drawing, label], k) => {
  const load = () => {
    remember(view);
    replace(view, drawing, false, false); // it fits already
  };
  const properties = { className: "aw-example", ariaLabel: `example ${k + 1}, a ${label}` };
  const picture = tinyCanvas();
  const node = button("", load, properties);
  node.append(picture, String(label));
  return { node, picture, seen: countsOf(unpack(drawing)) };
};

const paperOf = (view) =>
  paper(view.w, {
    began() {
      remember(view);
      const { best, isBlank } = view.now();
      view.stroke = { from: isBlank ? -1 : best, isOwn: isBlank || isOwn(view) };
    },
    changed(bits) {
      view.w.set("drawing", pack(bits));
      if (view.stroke.isOwn) view.own = view.w.get("drawing");
    },
    ended() {
      Object.assign(view.stroke, { to: view.now().best, drawing: view.w.get("drawing") });
      finish(view);
    },
  });

const penButtons = (view) => {
  const tool = (label, isRubber) =>
    button(label, () => choose(isRubber), { ariaPressed: String(!isRubber) });
  const tools = [tool("Pen", false), tool("Eraser", true)];
  const choose = (isRubber) => {
    view.sheet.rub(isRubber);
    tools.forEach((node, k) => {
      node.ariaPressed = String(isRubber === Boolean(k));
    });
  };
  view.undo = button("Undo", () => {
    if (view.past.length) replace(view, ...view.past.pop());
  });
  const clear = button("Clear", () => {
    remember(view);
    replace(view, EMPTY, true, false);
  });
  return [...tools, view.undo, clear];
};

const answerBars = (count) => {
  const bars = Array.from({ length: count }, (_, c) => {
    const bar = element("span", { className: "aw-bar" });
    const number = element("span", { className: "aw-value" });
    const track = element("span", { className: "aw-track" }, bar);
    const node = element("li", {}, element("b", { textContent: c }), track, number);
    return { bar, number, node };
  });
  const list = { className: "aw-answers", ariaLabel: "probabilities" };
  return {
    node: element("ol", list, ...bars.map((bar) => bar.node)),
    draw(probabilities, best) {
      bars.forEach(({ bar, number, node }, c) => {
        bar.style.width = `${100 * probabilities[c]}%`;
        number.textContent = fixed(probabilities[c]);
        node.classList.toggle("aw-best", c === best);
      });
    },
  };
};

// ---- drawings, and the way back

const isOwn = ({ w, own }) => own === w.get("drawing");
const remember = (view) => {
  view.past.push([view.w.get("drawing"), view.w.get("fit"), isOwn(view)]);
};

const replace = (view, drawing, fit, own) => {
  view.w.set("drawing", drawing);
  view.w.set("fit", fit);
  view.own = own ? drawing : null;
  finish(view);
};

const finish = (view) => {
  draw(view);
  tell(view);
  view.w.commit();
};

const tell = ({ w, now }) => {
  const { results, isBlank } = now();
  const { probabilities } = results;
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  const said = order.slice(0, 2).map((c) => `${c} (${fixed(probabilities[c])})`);
  w.say(isBlank ? "The paper is empty." : `Reads ${said.join(", then ")}.`);
};

// ---- drawing on the screen

const readColours = (view) => {
  const { box } = view.w;
  const [red, green, blue] = cssColour(box, "--aw-sheet");
  const sheet = (blue << 16) | (green << 8) | red;
  view.look = { ramp: colourRamp(box), ink: cssColour(box, "--aw-pen"), sheet };
};

// What a token gives each token: in one head, in the mean over the heads (head 0) or in the rollout
// (layer 0).
const rowOf = ({ now, heads, tokens }, layer, head, query) => {
  const { weights, rollout } = now().results;
  if (!layer) return rollout.subarray(query * tokens, (query + 1) * tokens);
  const rowOfHead = (h) => {
    const from = (((layer - 1) * heads + h) * tokens + query) * tokens;
    return weights.subarray(from, from + tokens);
  };
  if (head) return rowOfHead(head - 1);
  const mean = new Float64Array(tokens);
  for (let h = 0; h < heads; h++)
    rowOfHead(h).forEach((weight, j) => {
      mean[j] += weight / heads;
    });
  return mean;
};

const draw = (view) => {
  const { w, grid, look } = view;
  const [layer, head, query] = ["layer", "head", "query"].map(w.get);
  const { results, best } = view.now();
  const { seen, probabilities } = results;
  const rowOfAsker = (l, h) => rowOf(view, l, h, query);
  view.sheet.draw(w.get("drawing"), look);
  view.large.draw(rowOfAsker(layer, head), { layer, head, query }, seen, look);
  view.small.draw(rowOfAsker, { layer, head }, seen, look);
  const nothing = new Float64Array(grid[0] * grid[1]);
  for (const thumb of view.thumbs) paintMap(thumb.picture, grid, nothing, thumb.seen, look, 1);
  view.bars.draw(probabilities, best);
  view.undo.disabled = !view.past.length;
};

// ---- goals

// The largest weight that the class token gives, in the head shown large, to a patch with hardly
// any ink.
const weightOnPaper = (view) => {
  const { w, grid, now } = view;
  const { results, isBlank } = now();
  if (!w.get("layer") || !w.get("head") || isBlank) return 0;
  const ink = new Float64Array(grid[0] * grid[1]);
  results.seen.forEach((count, k) => {
    ink[patchOf(grid, k)] += (count * ink.length) / (16 * SIZE ** 2);
  });
  const row = rowOf(view, w.get("layer"), w.get("head"), 0).subarray(1);
  return Math.max(0, ...row.filter((_, k) => ink[k] <= 0.05));
};

const goalsOf = (view) => {
  const { w, now } = view;
  const isLastStroke = () => view.stroke.drawing === w.get("drawing");
  const sureOf = (c) => now().results.probabilities[c];
  return [
    {
      text: "Clear the paper and draw a 7 of which the model is sure (at least 0.90).",
      reached: () => isOwn(view) && now().best === 7 && sureOf(7) >= 0.9,
    },
    {
      text: "Turn a 3 into a 9 or an 8 by one stroke of the pen.",
      reached: () => isLastStroke() && view.stroke.from === 3 && [8, 9].includes(view.stroke.to),
    },
    {
      text:
        "Find a head whose class token gives at least 0.60 to a patch with hardly any ink, and " +
        "show it large. What can emptiness tell it?",
      reached: () => weightOnPaper(view) >= 0.6,
    },
    {
      text: "Draw something about which the model cannot decide: no digit gets more than 0.40.",
      reached: () => isOwn(view) && isLastStroke() && !now().isBlank && sureOf(now().best) <= 0.4,
    },
  ];
};

export default { render: onceShown(render) };
