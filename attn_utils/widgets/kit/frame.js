// What every widget of the book has around its own drawing: a titled box, bound controls, a status
// line that is read aloud, goals, and the buttons reset, copy link, copy as Python, save picture.
import { viewOf } from "./buffers.js";
import { button } from "./controls.js";
import { element, freshId, oncePerFrame } from "./dom.js";
import { pictureOf } from "./picture.js";
import { copyText, fits, linkTo, pythonFor, stateFromLink } from "./share.js";

// Opens the box in `el` and returns what a widget works with (README.md lists it).
export const openWidget = ({ model, el, signal }) => {
  const specs = new Map(model.get("_controls"));
  const frame = {
    model,
    specs,
    name: model.get("_name"),
    link: undefined, // its name in links: see nameInLinks
    start: traitsOf(model, specs.keys()),
    standalone: "liveHost" in document.documentElement.dataset, // the rendered book, no kernel
    ...buildBox(model),
    goals: [],
    draw: () => {},
    results: () => ({}),
    pause: undefined, // a timer: see commitSoon
  };
  frame.redraw = oncePerFrame(() => updateFrame(frame));
  for (const key of specs.keys()) model.on(`change:${key}`, frame.redraw);
  const w = widgetIn(frame, signal);
  keepPlainKeys(frame.box, signal);
  frame.tools.append(...frameTools(frame, w));
  el.append(frame.box);
  if (frame.standalone) frame.box.id = frame.link = nameInLinks(frame.name);
  return w;
};

// "#cue-explorer" is the first explorer of the page, "#cue-explorer-2" the second.
const nameInLinks = (name) => {
  const before = document.querySelectorAll(`.aw-${name}[id]`).length;
  return before ? `${name}-${before + 1}` : name;
};

const traitsOf = (model, keys) =>
  Object.fromEntries(Array.from(keys, (key) => [key, model.get(key)]));

const buildBox = (model) => {
  const title = element("div", {
    className: "aw-title",
    id: freshId(),
    textContent: model.get("title"),
  });
  const parts = {
    controls: element("div", { className: "aw-controls" }),
    stage: element("div", { className: "aw-stage" }),
    status: element("div", { className: "aw-status", role: "status" }),
    goalList: element("ul", { className: "aw-goals" }),
    tools: element("div", { className: "aw-tools" }),
    note: element("div", { className: "aw-note" }),
  };
  const className = `aw aw-${model.get("_name")}`;
  const box = element("section", { className }, title, ...Object.values(parts));
  box.setAttribute("aria-labelledby", title.id);
  return { box, ...parts };
};

// JupyterLab's command mode would take arrow keys and letters ("x" cuts the cell) from a control.
const keepPlainKeys = (box, signal) => {
  const isPlain = (event) =>
    !(event.ctrlKey || event.metaKey || event.altKey) && !["Tab", "Escape"].includes(event.key);
  box.addEventListener("keydown", (event) => {
    if (isPlain(event)) event.stopPropagation();
  });
  // Notebook 7 looks at a key before it comes here, unless it is for an element with this mark.
  const mark = (event) => box.toggleAttribute("data-lm-suppress-shortcuts", isPlain(event));
  window.addEventListener("keydown", mark, { capture: true, signal });
};

// The functions may be passed around on their own: none needs `this`.
const widgetIn = (frame, signal) => {
  const { model, box, stage, controls, specs } = frame;
  return {
    model,
    box,
    stage,
    controls,
    signal,
    python: pythonFor, // a widget whose data do not fit into a line says something else
    get: (key) => model.get(key),
    state: (keys) => traitsOf(model, keys),
    spec: (key) => specs.get(key),
    set: (key, value) => model.set(key, value),
    // Calls `apply` now and whenever the trait changes, from here or from Python.
    show: (key, apply) => {
      model.on(`change:${key}`, () => apply(model.get(key)));
      apply(model.get(key));
    },
    commit: () => commitFrame(frame),
    // For keys that repeat: commit once they rest.
    commitSoon: () => {
      clearTimeout(frame.pause);
      frame.pause = setTimeout(() => commitFrame(frame), 200);
    },
    say: (text) => sayIn(frame, text),
    // Goals the reader can aim at: {text, reached()}; a reached one stays ticked until reset, when
    // `forget()` is called: for what a goal remembers beside the traits.
    goals: (list, forget = () => {}) => {
      frame.goals = list.map((goal) => goalRowIn(frame, goal));
      frame.forget = forget;
    },
    // `drawing()` repaints from the traits; `numbers()` gives what goes back to Python, by trait.
    begin: (drawing, numbers = () => ({})) => beginDrawing(frame, drawing, numbers),
  };
};

const sayIn = (frame, text) => {
  frame.status.textContent = text;
};

const beginDrawing = (frame, drawing, numbers) => {
  Object.assign(frame, { draw: drawing, results: numbers });
  if (frame.standalone) takeOverLink(frame);
  updateFrame(frame);
  frame.box.numbers = () =>
    Object.fromEntries(Object.entries(numbers()).map(([key, v]) => [key, Array.from(v)]));
  frame.box.dataset.ready = "";
};

const takeOverLink = ({ link, specs, start, model, box }) => {
  const linked = stateFromLink(link);
  for (const [key, spec] of specs)
    if (key in linked && fits(spec, linked[key], start[key])) model.set(key, linked[key]);
  if (Object.keys(linked).length) box.scrollIntoView();
};

const updateFrame = (frame) => {
  frame.draw();
  for (const goal of frame.goals) {
    if (goal.node.classList.contains("aw-reached") || !goal.reached()) continue;
    goal.node.classList.add("aw-reached");
    goal.mark.textContent = "reached: ";
    sayIn(frame, `Goal reached: ${goal.text}`);
  }
};

const goalRowIn = (frame, goal) => {
  const mark = element("span", { className: "aw-visually-hidden" });
  const node = element("li", {}, mark, goal.text);
  frame.goalList.append(node);
  return { ...goal, node, mark };
};

// End of a gesture: the results become traits for Python's observers, the link follows the state.
const commitFrame = (frame) => {
  clearTimeout(frame.pause);
  frame.redraw();
  requestAnimationFrame(() => {
    const { model } = frame;
    for (const [key, numbers] of Object.entries(frame.results())) model.set(key, viewOf(numbers));
    model.save_changes();
    if (frame.standalone) history.replaceState(null, "", linkOfFrame(frame));
  });
};

// The controls that differ from `base`, a plain object of their values.
const changedFrom = ({ model, specs }, base) => {
  const isSame = (key) => JSON.stringify(model.get(key)) === JSON.stringify(base[key]);
  const keys = [...specs.keys()].filter((key) => !isSame(key));
  return traitsOf(model, keys);
};
const linkOfFrame = (frame) => linkTo(frame.link, changedFrom(frame, frame.start));

const frameTools = (frame, w) => {
  const copyPython = () => {
    const state = changedFrom(frame, Object.fromEntries(frame.model.get("_defaults")));
    const all = traitsOf(frame.model, frame.specs.keys());
    const text = w.python(frame.model.get("_class"), state, all);
    return offerText(frame, text, "Python copied: paste it into a notebook cell.");
  };
  const copyLink = () =>
    offerText(frame, linkOfFrame(frame), "Link copied: it reopens exactly this state.");
  return [
    button("Reset", () => resetFrame(frame)),
    ...(frame.standalone ? [button("Copy link", copyLink)] : []),
    button("Copy as Python", copyPython),
    button("Save picture", () => savePicture(frame)),
  ];
};

const resetFrame = (frame) => {
  frame.forget?.();
  for (const [key, value] of Object.entries(frame.start)) frame.model.set(key, value);
  for (const { node, mark } of frame.goals) {
    node.classList.remove("aw-reached");
    mark.textContent = "";
  }
  frame.note.textContent = "";
  sayIn(frame, "Reset.");
  commitFrame(frame);
};

// To the clipboard, or, where that is refused, into a field from which it can be copied by hand.
const offerText = async ({ note }, text, done) => {
  if (await copyText(text)) {
    note.textContent = done;
    return;
  }
  const area = element("textarea", {
    value: text,
    readOnly: true,
    rows: 4,
    ariaLabel: "text to copy",
  });
  note.replaceChildren(area);
  area.select();
};

const savePicture = async ({ name, box }) => {
  const href = URL.createObjectURL(await pictureOf(box));
  element("a", { download: `${name}.png`, href }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10000);
};

// JupyterLab calls render before the element is in the page, where it has neither size nor colours.
export const onceShown = (render) => async (context) => {
  const nextFrame = () => new Promise((done) => requestAnimationFrame(done));
  while (!context.el.isConnected && !context.signal?.aborted) await nextFrame();
  if (!context.signal?.aborted) render(context);
};
