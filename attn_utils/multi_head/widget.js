import { floatsOf } from "../widgets/kit/buffers.js";
import { button, slider, toggle } from "../widgets/kit/controls.js";
import { clamp, element, fixed, freshId, setAll, svg } from "../widgets/kit/dom.js";
import { onceShown, openWidget } from "../widgets/kit/frame.js";
import { softmaxInto } from "../widgets/kit/math.js";
import { pythonLiteral } from "../widgets/kit/share.js";

// Heads as coloured lines between queries and keys, a fader for each, and the task's answers with them.

// ---- the arithmetic (HeadExplorer.reference computes the same in torch)

const logitsOf = ({ parts, bias, N, H, C }, faders) => {
  const logits = new Float64Array(N * C);
  for (let n = 0; n < N; n++)
    for (let c = 0; c < C; c++) {
      let sum = bias[c];
      for (let h = 0; h < H; h++) sum += faders[h] * parts[(n * H + h) * C + c];
      logits[n * C + c] = sum;
    }
  return logits;
};
const answersOf = ({ N, C }, logits) =>
  Array.from({ length: N }, (_, n) => {
    let best = 0;
    for (let c = 1; c < C; c++) if (logits[n * C + c] > logits[n * C + best]) best = c;
    return best;
  });
const shareOf = ({ labels }, answers) => answers.filter((answer, n) => answer === labels[n]).length / labels.length;

const DASHES = ["", "9 5", "2 4", "12 4 2 4"]; // a second sign beside the colour
const colourOf = (h) => `var(--aw-head-${h})`;
const swatch = (h) => {
  const line = svg("line", { x1: 1, y1: 7, x2: 37, y2: 7, "stroke-width": 5, "stroke-dasharray": DASHES[h % 4] });
  line.style.stroke = colourOf(h);
  return svg("svg", { viewBox: "0 0 38 14", width: 38, height: 14, "aria-hidden": "true", class: "aw-swatch" }, line);
};

// ---- lines: two rows of names, on a phone two columns

const linePanel = (w, data, room) => {
  const { H, T, S, weights } = data;
  const upright = room < 520;
  const [pitch, gap] = upright ? [34, room] : [room / Math.max(T, S), 215];
  const [width, height] = upright ? [room, Math.max(T, S) * pitch + 26] : [room, gap + 74];
  const longest = Math.max(...[...data.tokens, ...data.queries].flat().map((name) => name.length));
  const size = clamp((upright ? 0.36 * room : pitch) / (0.62 * longest + 0.8), 7, 13.5);
  const card = Math.min(longest * size * 0.62 + 12, upright ? 0.38 * room : pitch - 4);
  const along = (i, count) => (upright ? (i + 0.5) * pitch + 24 : ((i + 0.5) * room) / count);
  // where line h leaves the card i of a row (0 queries, 1 keys): side by side, so that heads do not cover each other
  const end = (i, side, h) => {
    const at = along(i, side ? S : T) + (h - (H - 1) / 2) * Math.min(5, card / (H + 1));
    return upright ? [side ? room - card - 2 : card + 2, at] : [at, side ? gap + 29 : 45];
  };
  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "aw-lines", "data-export": "" });
  const [faint, strong, badges, cards] = ["aw-faint", "aw-strong", "aw-badges", "aw-cards"].map((name) => node.appendChild(svg("g", { class: name })));
  const label = (text, side) =>
    node.append(Object.assign(svg("text", upright
      ? { x: side ? room - 2 : 2, y: 13, "text-anchor": side ? "end" : "start", class: "aw-side" }
      : { x: room / 2, y: side ? height - 4 : 11, "text-anchor": "middle", class: "aw-side" }), { textContent: text }));
  label("Queries: who asks", 0);
  label("Keys: who is looked at", 1);
  const cardOf = (i, side) => {
    const [cx, cy] = upright ? [side ? room - card / 2 - 1 : card / 2 + 1, along(i, 0)] : [along(i, side ? S : T), side ? gap + 42 : 31];
    const box = svg("rect", { x: cx - card / 2, y: cy - 13, width: card, height: 26, rx: 6 });
    const text = svg("text", { x: cx, y: cy + size / 3, "text-anchor": "middle", "font-size": size });
    const group = cards.appendChild(svg("g", { class: side ? "aw-key" : "aw-query" }, box, text));
    if (!side) {
      group.addEventListener("pointerenter", () => {
        w.set("query", i);
        w.commitSoon();
      });
      group.addEventListener("click", () => {
        w.set("query", i);
        w.commit();
      });
    }
    return { group, text };
  };
  const names = [Array.from({ length: T }, (_, i) => cardOf(i, 0)), Array.from({ length: S }, (_, i) => cardOf(i, 1))];
  const heads = Array.from({ length: H }, (_, h) => {
    const colour = (shape) => {
      shape.style.stroke = colourOf(h);
      return shape;
    };
    const lines = Array.from({ length: S }, () => strong.appendChild(colour(svg("line", { "stroke-dasharray": DASHES[h % 4] }))));
    const mark = () => {
      const disc = svg("circle", { r: 8 });
      disc.style.fill = colourOf(h);
      const text = svg("text", { y: 4, "text-anchor": "middle" });
      text.textContent = h + 1;
      return badges.appendChild(svg("g", {}, disc, text));
    };
    return { all: faint.appendChild(colour(svg("path", {}))), lines, marks: Array.from({ length: S }, mark) };
  });

  return {
    node,
    draw(example, query, faders, shown) {
      const rows = [data.queries[example], data.tokens[example]];
      names.forEach((row, side) =>
        row.forEach(({ group, text }, i) => {
          text.textContent = rows[side][i] + (!side && i === data.asked[example] ? " ?" : "");
          group.classList.toggle("aw-chosen", !side && i === query);
        }));
      heads.forEach(({ all, lines, marks }, h) => {
        const on = shown[h] > 0;
        const base = (example * H + h) * T * S;
        let path = "";
        for (let t = 0; t < T && on && faders[h] > 0; t++)
          for (let s = 0; s < S; s++)
            if (t !== query && weights[base + t * S + s] > 0.3) path += `M${end(t, 0, h).map((v) => v.toFixed(1))}L${end(s, 1, h).map((v) => v.toFixed(1))}`;
        all.setAttribute("d", path);
        lines.forEach((line, s) => {
          const weight = weights[base + query * S + s];
          const strength = weight * faders[h];
          const visible = on && strength > 0.01;
          line.style.display = visible ? "" : "none";
          marks[s].style.display = visible && weight >= 0.25 ? "" : "none";
          if (!visible) return;
          const [[x1, y1], [x2, y2]] = [end(query, 0, h), end(s, 1, h)];
          setAll(line, { x1, y1, x2, y2, "stroke-width": 0.6 + 7 * strength });
          const far = 0.62 + 0.3 * ((h + 0.5) / H); // each head's number has a height of its own
          marks[s].setAttribute("transform", `translate(${x1 + far * (x2 - x1)} ${y1 + far * (y2 - y1)})`);
        });
      });
    },
  };
};

// ---- one strip for each head: sign, name, fader, mute, solo, lines on or off

const strips = (w, data) => {
  const { H } = data;
  const before = new Array(H).fill(1); // what a muted head goes back to
  const put = (faders) => {
    w.set("faders", faders);
    w.commit();
  };
  const rows = data.heads.map((name, h) => {
    const { min, max } = w.spec("faders");
    const fader = element("input", { type: "range", min, max, step: 0.1, id: freshId(), ariaLabel: `fader of ${name}` });
    const value = element("span", { className: "aw-value", ariaHidden: "true" });
    const lines = element("input", { type: "checkbox", ariaLabel: `lines of ${name}` });
    const change = (to) => w.get("faders").map((now, k) => (k === h ? to : now));
    fader.addEventListener("input", () => w.set("faders", change(Number(fader.value))));
    fader.addEventListener("change", () => w.commit());
    lines.addEventListener("change", () => {
      w.set("shown", w.get("shown").map((now, k) => (k === h ? Number(lines.checked) : now)));
      w.commit();
    });
    const mute = button("Mute", () => {
      const now = w.get("faders")[h];
      if (now > 0) before[h] = now;
      put(change(now > 0 ? 0 : before[h]));
    }, { ariaLabel: `Mute ${name}` });
    const alone = (faders) => faders.every((now, k) => (now > 0) === (k === h));
    const solo = button("Solo", () => put(w.get("faders").map((_, k) => (alone(w.get("faders")) || k === h ? 1 : 0))), { ariaLabel: `Solo ${name}` });
    const head = element("label", { htmlFor: fader.id, className: "aw-head-name" }, element("b", { textContent: h + 1 }), swatch(h), name);
    const node = element("li", {}, lines, head, element("span", { className: "aw-fader" }, fader, value, mute, solo));
    return { node, draw(faders, shown) {
      fader.value = faders[h];
      value.textContent = fixed(faders[h], 1);
      fader.setAttribute("aria-valuetext", value.textContent);
      lines.checked = shown[h] > 0;
      mute.setAttribute("aria-pressed", faders[h] === 0);
      solo.setAttribute("aria-pressed", H > 1 && alone(faders));
      node.classList.toggle("aw-muted", faders[h] === 0);
    } };
  });
  return {
    node: element("ul", { className: "aw-heads" }, ...rows.map((row) => row.node)),
    draw: (faders, shown) => rows.forEach((row) => row.draw(faders, shown)),
  };
};

// ---- the answers of one example: a bar for each class; covered until the reader has guessed

const answerPanel = (w, data, guess) => {
  const rows = data.classes.map((name, c) => {
    const choose = button(name, () => guess(c), { className: "aw-class" });
    const bar = element("span", { className: "aw-bar" });
    const note = element("span", { className: "aw-answer-note" });
    const value = element("span", { className: "aw-value" });
    return { node: element("li", {}, choose, element("span", { className: "aw-track" }, bar), value, note), choose, bar, value, note };
  });
  const weights = new Float64Array(data.C);
  return {
    node: element("ul", { className: "aw-answers" }, ...rows.map((row) => row.node)),
    draw(logits, answer, right, asking, covered) {
      softmaxInto(logits, weights);
      rows.forEach(({ node, choose, bar, value, note }, c) => {
        choose.disabled = !covered;
        choose.setAttribute("aria-label", covered ? `guess ${data.classes[c]}` : data.classes[c]);
        bar.style.width = covered ? "0" : `${100 * weights[c]}%`;
        value.textContent = covered ? "?" : fixed(weights[c]);
        const said = covered ? [] : [c === answer && "answer", c === right && "right", c === asking && "your guess"];
        note.textContent = said.filter(Boolean).join(", ");
        node.classList.toggle("aw-right", !covered && c === right);
        node.classList.toggle("aw-answer", !covered && c === answer);
      });
    },
  };
};

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  const [N, H, T, S, C] = model.get("_shape");
  const [tokens, own] = [model.get("_tokens"), model.get("_query_tokens")];
  const data = {
    N, H, T, S, C, tokens, queries: own.length ? own : tokens,
    weights: floatsOf(model.get("_weights")), parts: floatsOf(model.get("_contributions")), bias: floatsOf(model.get("_bias")),
    labels: model.get("_labels"), asked: model.get("_asked"), heads: model.get("_heads"), classes: model.get("_classes"),
  };
  if (model.get("_own_data")) // the data do not fit into a line of Python
    w.python = (_, state) => ["# explorer is the HeadExplorer of this cell", ...Object.entries(state).map(([name, value]) => `explorer.${name} = ${pythonLiteral(value)}`)].join("\n");
  // A link may bring numbers that the controls cannot produce.
  const settle = () => {
    for (const name of ["example", "query"]) if (!Number.isInteger(w.get(name))) w.set(name, Math.round(w.get(name)));
    if (!w.get("shown").every(Number.isInteger)) w.set("shown", w.get("shown").map(Math.round));
  };
  let logits;
  let answers;
  let share;
  let known = "";
  const compute = () => {
    const faders = w.get("faders");
    if (known === faders.join()) return;
    known = faders.join();
    logits = logitsOf(data, faders);
    answers = answersOf(data, logits);
    share = shareOf(data, answers);
  };
  const queryNow = () => (w.get("query") < 0 ? (data.asked[w.get("example")] ?? 0) : w.get("query"));
  settle();
  compute();
  const ones = new Array(H).fill(1);
  const atRest = answersOf(data, logitsOf(data, ones));
  const full = shareOf(data, atRest);

  // ---- guessing: what the heads will answer, from their lines
  let guessed = null;
  let hits = 0;
  const guess = (c) => {
    const example = w.get("example");
    guessed = { example, c };
    const hit = c === answers[example];
    hits += hit;
    w.say(`You say ${data.classes[c]}, the heads answer ${data.classes[answers[example]]}, right is ${data.classes[data.labels[example]]}.${hit ? " Well read." : ""}`);
    w.commit();
  };

  const step = (by) => {
    w.set("example", (w.get("example") + by + N) % N);
    w.commit();
  };
  const wrong = button("Next wrong answer", () => {
    const from = w.get("example");
    const next = Array.from({ length: N }, (_, k) => (from + 1 + k) % N).find((n) => answers[n] !== data.labels[n]);
    if (next === undefined) return w.say("No stored example is answered wrongly.");
    w.set("example", next);
    w.commit();
    return undefined;
  });
  const asking = (v) => (v < 0 ? (data.asked.length ? "the one asked" : "first") : data.queries[Math.round(w.get("example"))][Math.round(v)]);
  const example = slider(w, "example", { format: (v) => `${v + 1} of ${N}` });
  const query = slider(w, "query", { format: asking });
  query.classList.add("aw-query-field");
  w.controls.append(example, button("◀", () => step(-1), { ariaLabel: "previous example" }), button("▶", () => step(1), { ariaLabel: "next example" }), wrong, query, toggle(w, "guessing"));
  w.show("example", (now) => { // its value names a token of the example
    query.querySelector(".aw-value").textContent = asking(w.get("query"));
    if (guessed && guessed.example !== now) guessed = null;
  });
  w.show("guessing", (on) => {
    if (on) return;
    guessed = null;
    hits = 0;
  });

  const room = w.stage.clientWidth || 670; // read once: asking again after a change costs a layout
  const lines = linePanel(w, data, room);
  const desk = strips(w, data);
  const answer = answerPanel(w, data, guess);
  const question = element("p", { className: "aw-question", textContent: model.get("_question") });
  const reading = element("p", { className: "aw-reading" });
  const tally = element("p", { className: "aw-tally" });
  const level = element("span", { className: "aw-bar" });
  const rest = element("span", { className: "aw-rest" });
  rest.style.left = `${100 * full}%`;
  const meter = element("span", { className: "aw-track", ariaHidden: "true" }, level, rest);
  w.stage.append(question, lines.node, reading,
    element("section", { className: "aw-desk" }, element("p", { className: "aw-heading", textContent: "How loud is each head? A tick draws its lines." }), desk.node, tally, meter),
    element("section", { className: "aw-side-panel" }, element("p", { className: "aw-heading", textContent: "The answer to this example" }), answer.node));

  const draw = () => {
    settle();
    compute();
    const [n, q, faders, shown] = [w.get("example"), queryNow(), w.get("faders"), w.get("shown")];
    lines.draw(n, q, faders, shown);
    desk.draw(faders, shown);
    const covered = w.get("guessing") && guessed?.example !== n;
    answer.draw(logits.slice(n * C, (n + 1) * C), answers[n], data.labels[n], guessed?.example === n ? guessed.c : -1, covered);
    const top = data.heads.map((name, h) => {
      const row = data.weights.subarray(((n * H + h) * T + q) * S, ((n * H + h) * T + q + 1) * S);
      const most = Math.max(...row);
      if (!most) return ""; // a part that has a fader but looks at nothing
      const alike = row.filter((weight) => weight > 0.95 * most).length;
      return `${name} → ${alike > 1 ? `${alike} alike` : tokens[n][row.indexOf(most)]} (${fixed(most)})`;
    });
    reading.textContent = `${data.queries[n][q]} looks mostly at: ${top.filter(Boolean).join("; ")}.`;
    lines.node.setAttribute("aria-label", reading.textContent);
    const right = Math.round(share * N);
    tally.textContent = `Right on ${right} of ${N} examples: accuracy ${fixed(share)}. With all faders at 1: ${fixed(full)}.`;
    level.style.width = `${100 * share}%`;
  };

  // ---- goals that these data allow
  const shareWith = (faders) => shareOf(data, answersOf(data, logitsOf(data, faders)));
  const one = (h, to) => ones.map((_, k) => (k === h ? to : 1));
  const muted = ones.map((_, h) => shareWith(one(h, 0)));
  const pairs = H > 2 ? ones.flatMap((_, a) => ones.slice(a + 1).map((__, k) => shareWith(ones.map((___, h) => Number(h === a || h === a + 1 + k))))) : [];
  const breaks = ones.some((_, h) => answersOf(data, logitsOf(data, one(h, 2))).some((a, n) => atRest[n] === data.labels[n] && a !== atRest[n]));
  const among = (values) => {
    const faders = w.get("faders");
    return faders.every((v) => v === 1 || values.includes(v)) && faders.filter((v) => v !== 1).length;
  };
  const isRight = () => answers[w.get("example")] === data.labels[w.get("example")];
  w.goals([
    ...(full >= 0.5 && muted.some((v) => v < 0.5) ? [{ text: "Push the accuracy below 0.5 by muting one head.", reached: () => among([0]) === 1 && share < 0.5 }] : []),
    ...(H > 1 && muted.some((v) => v >= full) ? [{ text: "Mute a head that the task does not need: no answer becomes wrong.", reached: () => among([0]) >= 1 && among([0]) < H && share >= full }] : []),
    ...(pairs.some((v) => v >= full) ? [{ text: "Find two heads that are together as good as all.", reached: () => among([0]) === H - 2 && share >= full }] : []),
    ...(breaks ? [{ text: "More is not better: break a right answer by turning one head up to 2.", reached: () => among([2]) === 1 && atRest[w.get("example")] === data.labels[w.get("example")] && !isRight() }] : []),
    { text: "Solo a head and find an example that it answers rightly all by itself.", reached: () => H > 1 && among([0]) === H - 1 && isRight() },
    { text: "Tick “let me guess first” and foretell three answers from the lines.", reached: () => hits >= 3 },
  ]);
  w.begin(draw, () => ({ logits, predicted: answers, accuracy: [share] }));
}
export default { render: onceShown(render) };
