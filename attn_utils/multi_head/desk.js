// One strip for each head: lines on or off, number, name, fader, mute, solo.
import { button } from "../widgets/kit/controls.js";
import { element, fixed, freshId } from "../widgets/kit/dom.js";
import { badgesOf, swatch } from "./lines.js";

const isAlone = (faders, h) => faders.every((fader, k) => fader > 0 === (k === h));

const putFaders = (w, faders) => {
  w.set("faders", faders);
  w.commit();
};

const muteButton = (w, h, name) => {
  let before = 1; // what it goes back to
  const press = () => {
    const faders = w.get("faders");
    if (faders[h] > 0) before = faders[h];
    putFaders(w, faders.with(h, faders[h] > 0 ? 0 : before));
  };
  return button("Mute", press, { ariaLabel: `Mute ${name}` });
};

const soloButton = (w, h, name) => {
  const press = () => {
    const faders = w.get("faders");
    const all = isAlone(faders, h);
    putFaders(
      w,
      faders.map((_, k) => (all || k === h ? 1 : 0)),
    );
  };
  return button("Solo", press, { ariaLabel: `Solo ${name}` });
};

// Steps of a tenth, and of a hundredth below it: a nearly mute head may still decide the answer.
const stepAt = (value) => (value > 0.1 ? 0.1 : 0.01);
const onStep = (value) => (value > 0.1 ? Math.ceil(10 * value - 1e-6) / 10 : value);

const stripOf = (w, h, name, badge) => {
  const { min, max } = w.spec("faders");
  const labels = { id: freshId(), ariaLabel: `fader of ${name}` };
  const fader = element("input", { type: "range", min, max, ...labels });
  fader.addEventListener("input", () => {
    const value = onStep(Number(fader.value));
    fader.step = stepAt(value); // at once: the next key may come before the next frame
    w.set("faders", w.get("faders").with(h, value));
  });
  fader.addEventListener("change", () => w.commit());
  const lines = element("input", { type: "checkbox", ariaLabel: `lines of ${name}` });
  lines.addEventListener("change", () => {
    w.set("shown", w.get("shown").with(h, Number(lines.checked)));
    w.commit();
  });
  const value = element("span", { className: "aw-value", ariaHidden: "true" });
  const [mute, solo] = [muteButton(w, h, name), soloButton(w, h, name)];
  const number = element("b", { textContent: badge });
  const label = { htmlFor: fader.id, className: "aw-head-name" };
  const node = element(
    "li",
    {},
    lines,
    element("label", label, number, swatch(h), name),
    element("span", { className: "aw-fader" }, fader, value, mute, solo),
  );
  return { node, fader, lines, value, mute, solo };
};

const drawStrip = ({ node, fader, lines, value, mute, solo }, h, faders, shown) => {
  fader.step = stepAt(faders[h]);
  fader.value = faders[h];
  value.textContent = fixed(faders[h], faders[h] < 0.1 ? 2 : 1);
  fader.setAttribute("aria-valuetext", value.textContent);
  lines.checked = shown[h] > 0;
  mute.setAttribute("aria-pressed", faders[h] === 0);
  solo.setAttribute("aria-pressed", faders.length > 1 && isAlone(faders, h));
  node.classList.toggle("aw-muted", faders[h] === 0);
};

export const faderDesk = (w, names) => {
  const badges = badgesOf(names);
  const strips = names.map((name, h) => stripOf(w, h, name, badges[h]));
  return {
    node: element("ul", { className: "aw-heads" }, ...strips.map((strip) => strip.node)),
    draw(faders, shown) {
      strips.forEach((strip, h) => {
        drawStrip(strip, h, faders, shown);
      });
    },
  };
};
