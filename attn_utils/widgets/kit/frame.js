import { viewOf } from "./buffers.js";
import { button } from "./controls.js";
import { element, freshId, oncePerFrame } from "./dom.js";
import { copyText, linkTo, pictureOf, pythonFor, stateFromLink } from "./share.js";

// What every widget of the book has around its own drawing: a titled box, bound controls, a status
// line that is read aloud, goals, and the buttons reset / copy link / copy as Python / save picture.
export const openWidget = ({ model, el, signal }) => {
  const specs = new Map(model.get("_controls"));
  const name = model.get("_name");
  const start = Object.fromEntries([...specs.keys()].map((key) => [key, model.get(key)]));
  const standalone = "liveHost" in document.documentElement.dataset; // the rendered book, no kernel

  const title = element("div", {
    className: "aw-title",
    id: freshId(),
    textContent: model.get("title"),
  });
  const controls = element("div", { className: "aw-controls" });
  const stage = element("div", { className: "aw-stage" });
  const status = element("div", { className: "aw-status", role: "status" });
  const goalList = element("ul", { className: "aw-goals" });
  const tools = element("div", { className: "aw-tools" });
  const note = element("div", { className: "aw-note" });
  const box = element(
    "section",
    { className: `aw aw-${name}` },
    title,
    controls,
    stage,
    status,
    goalList,
    tools,
    note,
  );
  box.setAttribute("aria-labelledby", title.id);
  el.append(box);
  // A link to "#cue-explorer" leads to the first explorer of the page.
  if (standalone && !document.getElementById(name)) box.id = name;
  // JupyterLab's command mode would take arrow keys and letters ("x" cuts the cell) from a control.
  box.addEventListener("keydown", (event) => {
    const chord = event.ctrlKey || event.metaKey || event.altKey;
    if (!chord && !["Tab", "Escape"].includes(event.key)) event.stopPropagation();
  });

  let goals = [];
  let results = () => ({});
  let draw = () => {};
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const changed = (base) =>
    Object.fromEntries(
      [...specs.keys()]
        .filter((key) => !same(model.get(key), base(key)))
        .map((key) => [key, model.get(key)]),
    );
  const update = () => {
    draw();
    for (const goal of goals) {
      const reached = goal.reached();
      if (reached && !goal.node.classList.contains("aw-reached")) {
        goal.node.classList.add("aw-reached");
        goal.mark.textContent = "reached: ";
        w.say(`Goal reached: ${goal.text}`);
      }
    }
  };
  const redraw = oncePerFrame(update);
  for (const key of specs.keys()) model.on(`change:${key}`, redraw);

  let pause;
  const w = {
    model,
    box,
    stage,
    controls,
    signal,
    python: pythonFor, // a widget whose data do not fit into a line says something else
    get: (key) => model.get(key),
    spec: (key) => specs.get(key),
    set(key, value) {
      model.set(key, value);
    },
    // Calls `apply` now and whenever the trait changes, from here or from Python.
    show(key, apply) {
      model.on(`change:${key}`, () => apply(model.get(key)));
      apply(model.get(key));
    },
    // End of a gesture: the results become traits for Python's observers, the link follows the state.
    commit() {
      clearTimeout(pause);
      redraw();
      requestAnimationFrame(() => {
        for (const [key, numbers] of Object.entries(results())) model.set(key, viewOf(numbers));
        model.save_changes();
        if (standalone)
          history.replaceState(
            null,
            "",
            linkTo(
              name,
              changed((key) => start[key]),
            ),
          );
      });
    },
    // For keys that repeat: commit once they rest.
    commitSoon() {
      clearTimeout(pause);
      pause = setTimeout(w.commit, 200);
    },
    say: (text) => (status.textContent = text),
    // Goals the reader can aim at: {text, reached()}; a reached one stays ticked until reset.
    goals(list) {
      goals = list.map((goal) => {
        const mark = element("span", { className: "aw-visually-hidden" });
        const node = element("li", {}, mark, goal.text);
        goalList.append(node);
        return { ...goal, node, mark };
      });
    },
    // `drawing()` repaints from the traits; `numbers()` gives what goes back to Python, by trait.
    begin(drawing, numbers = () => ({})) {
      draw = drawing;
      results = numbers;
      if (standalone) {
        const linked = stateFromLink(name);
        for (const [key, spec] of specs)
          if (key in linked && fits(spec, linked[key], start[key])) model.set(key, linked[key]);
        if (Object.keys(linked).length && box.id) box.scrollIntoView();
      }
      update();
      box.numbers = () =>
        Object.fromEntries(Object.entries(results()).map(([key, v]) => [key, Array.from(v)]));
      box.dataset.ready = "";
    },
  };

  const tell = (text) => (note.textContent = text);
  const offer = async (text, done) => {
    if (await copyText(text)) return tell(done);
    note.replaceChildren(
      element("textarea", { value: text, readOnly: true, rows: 4, ariaLabel: "text to copy" }),
    );
    note.firstChild.select();
  };
  tools.append(
    button("Reset", () => {
      for (const [key, value] of Object.entries(start)) model.set(key, value);
      for (const goal of goals) {
        goal.node.classList.remove("aw-reached");
        goal.mark.textContent = "";
      }
      tell("");
      w.say("Reset.");
      w.commit();
    }),
    ...(standalone
      ? [
          button("Copy link", () =>
            offer(
              linkTo(
                name,
                changed((key) => start[key]),
              ),
              "Link copied: it reopens exactly this state.",
            ),
          ),
        ]
      : []),
    button("Copy as Python", () => {
      const defaults = new Map(model.get("_defaults"));
      offer(
        w.python(
          model.get("_class"),
          changed((key) => defaults.get(key)),
        ),
        "Python copied: paste it into a notebook cell.",
      );
    }),
    button("Save picture", async () => {
      const link = element("a", {
        download: `${name}.png`,
        href: URL.createObjectURL(await pictureOf(box)),
      });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }),
  );
  return w;
};

// A link can say anything: only values that the control itself could have produced are taken over.
const fits = (spec, value, present) => {
  const number = (v) => typeof v === "number" && v >= spec.min && v <= spec.max;
  if (spec.kind === "number") return number(value);
  if (spec.kind === "choice") return spec.options.includes(value);
  if (spec.kind === "switch") return typeof value === "boolean";
  if (spec.kind === "text")
    return typeof value === "string" && value.trim() !== "" && value.length <= spec.max;
  return (
    spec.kind === "numbers" &&
    Array.isArray(value) &&
    value.length === present.length &&
    value.every(number)
  );
};

// JupyterLab calls render before the element is in the page, where it has neither size nor colours.
export const onceShown = (render) => async (context) => {
  while (!context.el.isConnected && !context.signal?.aborted)
    await new Promise((f) => requestAnimationFrame(f));
  if (!context.signal?.aborted) render(context);
};
