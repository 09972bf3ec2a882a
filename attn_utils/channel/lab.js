import { fixed } from "../widgets/kit/dom.js";
import { compute, imageOf, PIXELS, patchOf } from "./compute.js";

// The lab as it stands: its controls, the image, the numbers that follow, and the marked channel.
const CONTROLS = ["block", "reduction", "kernel", "where", "volumes", "pixels", "_se", "_eca"];

export const openLab = (w) => {
  const lab = { w, start: w.get("_start"), chosen: w.get("where") - 1, draw: () => {} };
  refresh(lab);
  return lab;
};

export const stateOf = ({ w }) => w.state(CONTROLS);

export const refresh = (lab) => {
  const state = stateOf(lab);
  lab.image = imageOf(state);
  lab.now = compute(state);
};

export const digitAt = ({ w }) => w.get("where") - 1;

export const story = (lab, c) => {
  const digit = c === digitAt(lab) ? ", the digit" : "";
  const { means, gates } = lab.now;
  return `Channel ${c + 1}${digit}: mean ${fixed(means[c])}, gate ${fixed(gates[c])}.`;
};

export const choose = (lab, c, words = "") => {
  lab.chosen = c;
  lab.draw();
  lab.w.say(words || story(lab, c));
};

// Hands the figures of one channel's patch to `change`, which edits them.
export const rewrite = (lab, c, change) => {
  const figures = lab.w.get("pixels").split("");
  const from = patchOf(c, lab.w.get("where")) * PIXELS;
  const patch = figures.slice(from, from + PIXELS);
  change(patch);
  figures.splice(from, PIXELS, ...patch);
  lab.w.set("pixels", figures.join(""));
  refresh(lab);
};

export const brushFigure = ({ w }) => Math.round(15 * w.get("brush")).toString(16);
