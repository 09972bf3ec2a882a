// The text as the model reads it, coloured by the attention of the asking letter; and a strip with
// the same colours for each head.
import { button } from "../widgets/kit/controls.js";
import { clamp, element, fixed } from "../widgets/kit/dom.js";

const NAMES = { " ": "a blank", "\n": "a line break" };
export const spokenLetter = (letter) => NAMES[letter] ?? `“${letter}”`;
export const visibleLetter = (letter) => ({ " ": "␣", "\n": "¶" })[letter] ?? letter;

// ---- the letters: one of them asks; pointer and arrow keys choose it

export const letterLine = (view) => {
  const node = element("div", { className: "aw-lw-letters", tabIndex: 0, role: "slider" });
  node.ariaLabel = "the letter that asks";
  node.dataset.exportText = "";
  const choose = (at) => view.ask(clamp(at, 0, view.seen().tokens.length - 1));
  node.addEventListener("click", ({ target }) => {
    if (target.dataset.at) choose(Number(target.dataset.at));
  });
  node.addEventListener("keydown", (event) => {
    const { asking, tokens } = view.seen();
    const last = tokens.length - 1;
    const to = { ArrowLeft: asking - 1, ArrowRight: asking + 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(to);
  });
  return { node, draw: () => drawLetters(node, view) };
};

const drawLetters = (node, view) => {
  const { places, asking } = view.seen();
  const row = view.rowOf(view.w.get("layer"), view.w.get("head"));
  const positions = new Map(places.map((place, at) => [place, at]));
  const letters = Array.from(view.w.get("text"));
  node.replaceChildren(
    ...letters.map((letter, place) => {
      const span = element("span", { textContent: letter === "\n" ? "¶\n" : letter });
      const at = positions.get(place);
      if (at === undefined) span.className = "aw-lw-unread";
      if (!view.letters.includes(letter)) span.className = "aw-lw-unknown";
      else span.dataset.at = at;
      if (at === asking) span.className = "aw-lw-asking";
      if (at > asking) span.className = "aw-lw-later";
      if (row && at <= asking) {
        span.style.background = view.shades.of(row[at]);
        span.style.color = view.shades.inkOn(row[at]);
      }
      return span;
    }),
  );
  const asker = places.length ? spokenLetter(letters[places[asking]]) : "none";
  node.setAttribute("aria-valuemax", Math.max(1, places.length));
  node.setAttribute("aria-valuemin", 1);
  node.setAttribute("aria-valuenow", asking + 1);
  node.setAttribute("aria-valuetext", `${asker}, letter ${asking + 1} of ${places.length}`);
};

// ---- the heads: a strip for each, from the first letter that is read to the asking one

export const headStrips = (view) => {
  const [layers, heads] = view.sizes;
  const strips = [];
  for (let layer = 1; layer <= layers; layer++)
    for (let head = 1; head <= heads; head++) strips.push(stripOf(view, layer, head));
  const group = { className: "aw-lw-heads", role: "group", ariaLabel: "heads" };
  return {
    node: element("div", group, ...strips.map((strip) => strip.node)),
    draw() {
      for (const strip of strips) drawStrip(view, strip);
    },
  };
};

const stripOf = (view, layer, head) => {
  const canvas = element("canvas", { height: 1 });
  canvas.dataset.export = "";
  const show = () => {
    view.w.set("layer", layer);
    view.w.set("head", head);
    view.picked = view.w.get("text");
    view.w.commit();
  };
  const node = button("", show, { className: "aw-lw-head" });
  node.append(element("span", { textContent: `${layer}.${head}` }), canvas);
  return { node, canvas, layer, head };
};

const drawStrip = (view, { node, canvas, layer, head }) => {
  const row = view.rowOf(layer, head) ?? [0];
  const { tokens, asking } = view.seen();
  canvas.width = row.length; // and empties it
  const image = new ImageData(row.length, 1);
  const words = new Uint32Array(image.data.buffer);
  for (let at = 0; at < row.length; at++)
    words[at] = view.shades.ramp[clamp(255 * row[at], 0, 255) | 0];
  canvas.getContext("2d").putImageData(image, 0, 0);
  node.ariaPressed = String(layer === view.w.get("layer") && head === view.w.get("head"));
  const most = row.indexOf(Math.max(...row));
  const letter = tokens.length ? spokenLetter(view.letters[tokens[most]]) : "nothing";
  const before = asking === most ? "itself" : `${letter}, ${asking - most} before`;
  node.ariaLabel = `layer ${layer}, head ${head}: most on ${before}, ${fixed(row[most])}`;
};
