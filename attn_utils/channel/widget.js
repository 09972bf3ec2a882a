import { button, select, slider } from "../widgets/kit/controls.js";
import { element, fixed, setAll } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { CHANNELS, compute, PIXELS } from "./compute.js";
import { brushFigure, choose, digitAt, openLab, refresh, rewrite, stateOf, story } from "./lab.js";
import { netOf } from "./net.js";
import { paintTile, resultTile } from "./tiles.js";

// The gate lab: eight channels to paint on, the block as a net of lines, the gates, and below what
// is let through.
const HINT =
  "Paint on a channel, or turn its volume up: either marks it. From top to bottom: the image x, " +
  "the mean of each channel, the weights (orange above zero, blue below), the gates s, and " +
  "s · x. What leads to the gate of the marked channel stands out.";

// ---- the buttons work on the marked channel

const shuffleChosen = (lab) => {
  const c = lab.chosen;
  rewrite(lab, c, (patch) => {
    for (let at = PIXELS - 1; at > 0; at--) {
      const other = Math.floor(Math.random() * (at + 1));
      [patch[at], patch[other]] = [patch[other], patch[at]];
    }
  });
  choose(lab, c, `The pixels of channel ${c + 1} have changed places. ${story(lab, c)}`);
  lab.w.commit();
};

const fillChosen = (lab) => {
  rewrite(lab, lab.chosen, (patch) => patch.fill(brushFigure(lab)));
  choose(lab, lab.chosen);
  lab.w.commit();
};

const buildControls = (lab) => {
  const { w } = lab;
  const [reduction, kernel] = [select(w, "reduction"), select(w, "kernel")];
  const shuffle = button("", () => shuffleChosen(lab));
  const fill = button("", () => fillChosen(lab));
  w.controls.append(
    select(w, "block"),
    reduction,
    kernel,
    slider(w, "where", { format: (v) => v.toFixed(0) }),
    slider(w, "brush", { format: (v) => fixed(v, 1) }),
    shuffle,
    fill,
  );
  return {
    draw({ chosen }) {
      reduction.hidden = w.get("block") !== "SE";
      kernel.hidden = w.get("block") !== "ECA";
      shuffle.textContent = `Shuffle channel ${chosen + 1}`;
      fill.textContent = `Fill channel ${chosen + 1}`;
    },
  };
};

const sizeInWords = ({ block, reduction, kernel }) => {
  if (block === "none") return "No block: every gate is 1, and 0 parameters.";
  if (block === "ECA") {
    const s = kernel === "1" ? "" : "s";
    return `ECA with k = ${kernel}: each gate sees ${kernel} mean${s}, ${kernel} parameter${s}.`;
  }
  const hidden = CHANNELS / Number(reduction);
  const [path, product] = [`8 means → ${hidden} hidden → 8 gates`, `2 · 8 · ${hidden}`];
  return `SE with r = ${reduction}: ${path}, ${product} = ${2 * 8 * hidden} parameters.`;
};

const buildStage = (lab) => {
  const channels = Array.from({ length: CHANNELS }, (_, c) => c);
  const tiles = channels.map((c) => paintTile(lab, c));
  const results = channels.map(resultTile);
  const net = netOf();
  const count = setAll(element("p", { className: "aw-count" }), { "data-export-text": "" });
  const row = (label, parts) => {
    const nodes = parts.map(({ node }) => node);
    return element("div", { className: "aw-tiles", role: "group", ariaLabel: label }, ...nodes);
  };
  lab.w.stage.append(
    row("The channels, to paint on, each with its volume", tiles),
    net.node,
    row("What the gates let through", results),
    count,
    lab.w.box.querySelector(".aw-status"),
    element("p", { className: "aw-hint", textContent: HINT }),
  );
  return {
    draw() {
      for (const tile of [...tiles, ...results]) tile.draw(lab);
      net.draw(stateOf(lab), lab.now, lab.chosen);
      count.textContent = sizeInWords(stateOf(lab));
    },
  };
};

// ---- goals

const isGated = ({ w }) => w.get("block") !== "none";
const otherGate = (lab, holds) =>
  Array.from(lab.now.gates).some((s, c) => c !== digitAt(lab) && holds(s, c));
const digitGate = (lab) => lab.now.gates[digitAt(lab)];

const isDigitUntouched = ({ w, start }) =>
  w.get("pixels").slice(0, PIXELS) === start.slice(0, PIXELS) &&
  Math.abs(w.get("volumes")[digitAt({ w })] - 1) < 1e-9;

const isImageUntouched = ({ w, start }) =>
  w.get("pixels") === start && w.get("volumes").every((volume) => volume === 1);

// The digit has changed in many pixels, but its gate stands where it stood before.
const isDigitRedrawn = (lab) => {
  const state = stateOf(lab);
  const digit = lab.start.slice(0, PIXELS);
  const changed = Array.from(digit).filter((figure, at) => figure !== state.pixels[at]).length;
  const before = compute({ ...state, pixels: digit + state.pixels.slice(PIXELS) });
  const moved = Math.abs(digitGate(lab) - before.gates[digitAt(lab)]);
  return changed >= 20 && digitGate(lab) >= 0.5 && moved < 0.01;
};

// Opened by painting or by the volume: a narrow bottleneck opens other channels by itself.
const isGateFooled = (lab) => {
  const volumes = Array(CHANNELS).fill(1);
  const { gates: before } = compute({ ...stateOf(lab), pixels: lab.start, volumes });
  return otherGate(lab, (gate, c) => gate >= 0.8 && before[c] < 0.8);
};

const goalsOf = (lab) => [
  {
    text: "Fool a gate: change the image so that a channel without a digit opens (at least 0.8).",
    reached: () => isGated(lab) && isGateFooled(lab),
  },
  {
    text: "Close the digit’s gate (0.2 or less) without touching the digit or its volume.",
    reached: () =>
      isGated(lab) &&
      lab.w.get("reduction") !== "8" &&
      isDigitUntouched(lab) &&
      digitGate(lab) <= 0.2,
  },
  {
    text: "Change at least 20 pixels of the digit and move its gate by less than 0.01.",
    reached: () => isGated(lab) && isDigitRedrawn(lab),
  },
  {
    text:
      "Leave the image as it is, and find a bottleneck so narrow that SE opens other channels " +
      "as wide as the digit’s.",
    reached: () =>
      lab.w.get("block") === "SE" &&
      isImageUntouched(lab) &&
      otherGate(lab, (gate) => gate >= digitGate(lab)),
  },
];

const render = ({ model, el, signal }) => {
  const w = openWidget({ model, el, signal });
  const lab = openLab(w);
  const panels = [buildStage(lab), buildControls(lab)];
  lab.draw = () => {
    refresh(lab);
    for (const panel of panels) panel.draw(lab);
  };
  const markDigit = () => {
    lab.chosen = digitAt(lab);
  };
  w.goals(goalsOf(lab), markDigit); // Reset takes the mark back too
  for (const name of ["block", "reduction", "kernel", "where"])
    model.on(`change:${name}`, () => {
      if (name === "where") lab.chosen = digitAt(lab); // the mark follows the digit
      refresh(lab);
      w.say(story(lab, lab.chosen));
    });
  w.begin(lab.draw, () => {
    refresh(lab);
    return lab.now;
  });
  w.say(story(lab, lab.chosen));
};

export default { render: onceShown(render) };
