// Step by step: hide the results, predict a number of the next one, then reveal it.
import { button } from "../widgets/kit/controls.js";
import { element, freshId } from "../widgets/kit/dom.js";
import { STEPS, shortly, sub } from "./words.js";

// The cell to be predicted in the next matrix: where a row can be chosen, the last one.
export const questionOf = (now) => {
  const { n, shown } = now;
  const [i, j] = [n - 1, shown % n];
  const pair = `row ${i + 1}, column ${j + 1}`;
  const cell = (panel, name) => ({ panel, at: i * n + j, name: `${name}, ${pair}` });
  return [
    null,
    { panel: "q", at: 2 * i + 1, name: `q${sub(i)}, second number` },
    cell("raw", "QKᵀ"),
    cell("scores", "scaled"),
    cell("masked", "masked"),
    cell("weights", "weights"),
    { panel: "output", at: 2 * i, name: `output b${sub(i)}, first number` },
  ][shown];
};

const reveal = (view) => {
  const { w, now, stepper } = view;
  const { guess } = stepper;
  const asked = questionOf(now);
  if (!asked) return;
  const value = now[asked.panel][asked.at];
  const said = guess.value === "" ? null : Number(guess.value);
  const hit = said !== null && Math.abs(said - value) <= 0.05;
  if (hit) view.predicted = true;
  w.set("shown", now.shown + 1);
  const opening = said === null ? "" : `You said ${shortly(said)}. `;
  const verdict = hit ? "Well predicted: it is" : "It is";
  w.say(`${asked.name}: ${opening}${verdict} ${shortly(value)}.`);
  guess.value = "";
  w.commit();
};

export const openStepper = (view) => {
  const { w } = view;
  const properties = { type: "number", step: 0.01, id: freshId(), inputMode: "decimal" };
  const guess = element("input", properties);
  guess.addEventListener("keydown", (event) => event.key === "Enter" && reveal(view));
  const ask = element("label", { htmlFor: guess.id });
  const hide = button("Step by step: hide the results", () => {
    w.set("shown", 1);
    w.say("Everything but the inputs is hidden.");
    w.commit();
    requestAnimationFrame(() => guess.focus({ preventScroll: true })); // it is shown by then
  });
  const showAll = button("Show all", () => {
    w.set("shown", STEPS.length);
    w.commit();
  });
  const next = button("Reveal", () => reveal(view));
  const asking = element("span", { className: "aw-asking" }, ask, guess, next, showAll);
  const node = element("div", { className: "aw-stepper" }, hide, asking);
  return { node, guess, ask, hide, asking };
};

export const drawStepper = ({ now, stepper }) => {
  const asked = questionOf(now);
  stepper.hide.hidden = now.shown < STEPS.length;
  stepper.asking.hidden = now.shown >= STEPS.length;
  if (asked) stepper.ask.textContent = `Next: ${STEPS[now.shown]}. Predict ${asked.name}:`;
};
