import { halvesOf } from "../widgets/kit/buffers.js";
import { button, field } from "../widgets/kit/controls.js";
import { clamp, element, fixed, freshId, setAll, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { STEPS, decode, modelsOf } from "./compute.js";
import { pythonLiteral } from "../widgets/kit/share.js";
import { colourRamp, onThemeChange } from "../widgets/kit/theme.js";

// The alignment explorer: two GRU encoder–decoders read a date while it is typed.
// ---- small things

// A day that no calendar has, such as 2019-02-30.
const impossible = (iso) => {
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(iso);
  if (!parts) return false;
  const [y, m, d] = parts.slice(1).map(Number);
  return m < 1 || m > 12 || d < 1 || d > new Date(Date.UTC(y, m, 0)).getUTCDate();
};
const hexOf = (word) => `#${[0, 8, 16].map((shift) => ((word >>> shift) & 255).toString(16).padStart(2, "0")).join("")}`;
const spoken = (character) => ({ " ": "a blank", "-": "a dash", ",": "a comma", ".": "a dot", "/": "a stroke" })[character] ?? `“${character}”`;

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  if (model.get("_own_model")) w.python = (_, state) => ["# explorer is the AlignmentExplorer of this cell", ...Object.entries(state).map(([name, value]) => `explorer.${name} = ${pythonLiteral(value)}`)].join("\n");
  const [known, digits] = model.get("_characters");
  const models = modelsOf({ _floats: halvesOf(model.get("_floats")), _shapes: model.get("_shapes") });
  const examples = model.get("_examples");
  const begun = w.get("text");

  // ---- computing: everything is a function of the text
  let now = { text: null };
  const compute = () => {
    const text = w.get("text");
    if (text === now.text) return;
    const read = [...text.toLowerCase()].filter((c) => known.includes(c));
    const tokens = read.map((c) => known.indexOf(c) + 1);
    const [own, fixed] = [models.attention, models.fixed].map((m) => decode(m, tokens));
    const [answer, other] = [own, fixed].map(({ written }) => written.map((i) => digits[i]).join(""));
    now = { text, read, own, fixed, answer, other };
  };
  const row = () => clamp(Math.round(w.get("step")), 0, STEPS - 1);
  const weight = (t, s) => now.own.weights[t * now.read.length + s];

  // ---- the field and the examples
  const field1 = element("input", { type: "text", id: freshId(), className: "aw-al-typed", maxLength: w.spec("text").max, spellcheck: false, autocomplete: "off" });
  w.show("text", (text) => {
    if (field1.value.trim() !== text.trim()) field1.value = text;
  });
  const use = (text) => {
    const unknown = [...new Set([...text.toLowerCase()].filter((c) => !known.includes(c)))];
    if (![...text.toLowerCase()].some((c) => c !== " " && known.includes(c))) return w.say("Nothing to read yet: type a date, in letters and digits.");
    w.set("text", text);
    w.say(unknown.length ? `The models do not know ${unknown.join(" ")}: left out.` : "");
    w.commitSoon();
  };
  field1.addEventListener("input", () => use(field1.value));
  const shelf = element("div", { className: "aw-al-examples", role: "group", ariaLabel: "examples" }, ...examples.map((text) => button(text, () => {
    field1.value = text;
    use(text);
  })));
  w.controls.append(field(w.spec("text").label, field1), shelf);

  // ---- what is written: a button for each character with attention, plain characters without
  const choose = (t, focus = false) => {
    const to = clamp(t, 0, STEPS - 1);
    if (to !== w.get("step")) {
      w.set("step", to);
      w.commitSoon();
    }
    if (focus) keys[to].focus();
    tell(to);
  };
  const tell = (t) => {
    if (!now.read.length) return;
    const all = now.read.map((c, s) => [weight(t, s), c, s]).sort((a, b) => b[0] - a[0]).slice(0, 3).filter(([v]) => v >= 0.05);
    const chance = now.own.probabilities[t * digits.length + now.own.written[t]];
    w.say(`Character ${t + 1} of the date, ${spoken(now.answer[t])}, probability ${fixed(chance)}, looks at ${all.map(([v, c, s]) => `${spoken(c)} (${s + 1}): ${fixed(v)}`).join(", ") || "no place in particular"}.`);
  };
  const keys = Array.from({ length: STEPS }, (_, t) => {
    const key = button("", () => choose(t));
    key.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && choose(t));
    key.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: t - 1, ArrowRight: t + 1, Home: 0, End: STEPS - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(to, true);
    });
    return key;
  });
  const plain = Array.from({ length: STEPS }, () => element("span"));
  const apart = element("span", { className: "aw-visually-hidden" });
  const line = element("div", { className: "aw-al-line-read", ariaHidden: "true" });
  w.stage.append(
    element("div", { className: "aw-al-reader" }, element("span", { textContent: "with attention" }), element("div", { className: "aw-al-written", role: "group", ariaLabel: "the date written with attention, character by character" }, ...keys)),
    element("div", { className: "aw-al-reader" }, element("span", { textContent: "one fixed vector" }), element("div", { className: "aw-al-written" }, ...plain), apart),
    line,
  );

  // ---- the alignment: a row for each character written, a column for each character read
  const [wide, high, left, top] = [13, 17, 20, 19];
  const map = svg("svg", { tabindex: 0, role: "application", "data-export": "" });
  map.setAttribute("aria-roledescription", "heatmap");
  const names = Array.from({ length: STEPS }, (_, t) => svg("text", { x: left - 6, y: top + (t + 0.5) * high + 4, "text-anchor": "end" }));
  const picked = svg("rect", { class: "aw-al-picked", x: left, height: high });
  const cells = [];
  const letters = [];
  map.append(...names, picked);
  let column = 0;
  const grow = (S) => {
    while (letters.length < S) {
      const s = letters.length;
      letters.push(svg("text", { x: left + (s + 0.5) * wide, y: top - 6, "text-anchor": "middle" }));
      cells.push(Array.from({ length: STEPS }, (_, t) => svg("rect", { x: left + s * wide, y: top + t * high, width: wide, height: high })));
      map.append(letters[s], ...cells[s], picked);
    }
  };
  const label = () => {
    const S = now.read.length;
    column = clamp(column, 0, Math.max(0, S - 1));
    const cell = S ? `${spoken(now.answer[row()])} looks at ${spoken(now.read[column])}, character ${column + 1}, with ${fixed(weight(row(), column))}` : "empty";
    map.setAttribute("aria-label", `Alignment. ${cell}. Arrow keys move from cell to cell.`);
    return cell;
  };
  map.addEventListener("pointermove", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    const [t, s] = [Math.floor((point.y - top) / high), Math.floor((point.x - left) / wide)];
    if (t < 0 || t >= STEPS || s < 0 || s >= now.read.length) return;
    choose(t);
    column = s;
    w.say(`${label()}.`);
  });
  map.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move) return;
    event.preventDefault();
    choose(row() + move[0]);
    column += move[1];
    w.say(`${label()}.`);
  });
  const bar = element("canvas", { width: 256, height: 1 });
  const frame = element("div", { className: "aw-al-map-frame", tabIndex: -1 }, map);
  w.stage.append(frame, element("div", { className: "aw-al-key", ariaHidden: "true" }, element("span", { textContent: "weight 0" }), bar, element("span", { textContent: "1 · columns: characters read (keys), rows: characters written (queries)" })));

  let shades = [];
  const readColours = () => {
    const ramp = colourRamp(w.box);
    shades = Array.from(ramp, hexOf);
    const strip = bar.getContext("2d").createImageData(256, 1);
    new Uint32Array(strip.data.buffer).set(ramp);
    bar.getContext("2d").putImageData(strip, 0, 0);
  };
  const shade = (v) => shades[clamp(v * 255, 0, 255) | 0];
  // Letters on a shade: whichever of the ramp's ends is farther away.
  const inkOn = (v) => shades[v > 0.5 ? 0 : 255];

  const draw = () => {
    compute();
    const [S, t] = [now.read.length, row()];
    grow(S);
    const size = [left + S * wide + 2, top + STEPS * high + 2];
    setAll(map, { viewBox: `0 0 ${size.join(" ")}`, width: size[0], height: size[1] });
    letters.forEach((letter, s) => {
      const shown = s < S;
      letter.style.display = shown ? "" : "none";
      if (shown) letter.textContent = now.read[s] === " " ? "␣" : now.read[s];
      cells[s].forEach((cell, i) => {
        cell.style.display = shown ? "" : "none";
        if (shown) cell.style.fill = shade(weight(i, s));
      });
    });
    keys.forEach((key, i) => {
      key.textContent = now.answer[i] ?? "";
      key.ariaPressed = String(i === t);
      key.tabIndex = i === t ? 0 : -1;
      key.ariaLabel = `character ${i + 1}: ${spoken(now.answer[i] ?? " ")}`;
      names[i].textContent = now.answer[i] ?? "";
      names[i].classList.toggle("aw-al-chosen-name", i === t);
      plain[i].textContent = now.other[i] ?? "";
      plain[i].classList.toggle("aw-al-differs", now.other[i] !== now.answer[i]);
    });
    apart.textContent = now.other === now.answer ? "the same" : "not the same";
    setAll(picked, { y: top + t * high, width: S * wide });
    line.replaceChildren(...now.read.map((c, s) => {
      const node = element("span", { textContent: c });
      const v = weight(t, s);
      if (v >= 0.02) Object.assign(node.style, { background: shade(v), color: inkOn(v) });
      return node;
    }));
    label();
  };
  readColours();
  onThemeChange(() => {
    readColours();
    draw();
  }, signal);

  const own = () => now.text !== begun && !examples.includes(now.text);
  w.goals([
    { text: "Step to the output character that reads the month’s name: letters get at least 0.50 of its attention.", reached: () => [5, 6].includes(row()) && now.read.reduce((sum, c, s) => sum + (/[a-z]/.test(c) ? weight(row(), s) : 0), 0) >= 0.5 },
    { text: "Write a date on which the two models differ in one half only: same year, another month or day.", reached: () => own() && now.answer.slice(0, 4) === now.other.slice(0, 4) && now.answer !== now.other },
    { text: "Make the model with attention write a day that no calendar has.", reached: () => own() && impossible(now.answer) },
  ]);
  w.begin(draw, () => ({ weights: now.own.weights, logits: now.own.logits, probabilities: now.own.probabilities, fixed_logits: now.fixed.logits, fixed_probabilities: now.fixed.probabilities }));
}
export default { render: onceShown(render) };
