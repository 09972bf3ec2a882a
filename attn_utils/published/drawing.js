// One side of a reaction as a drawing: bonds, and a disc with a letter for each atom.
import { clamp, element, fixed, svg } from "../widgets/kit/dom.js";
import { layOut } from "./layout.js";

const BOND = 36; // pixels
const DISC = 12.5;
const OUT = DISC + 14; // from an atom to its mark
const EDGE = 36; // around the drawing
const WIDEST = 9; // bonds in a row of molecules

export const sidePanel = (w, name) => {
  const root = svg("svg", { class: "aw-rx-side" });
  root.dataset.export = "";
  const caption = element("figcaption", { textContent: name });
  return {
    w,
    root,
    atoms: [],
    node: element("figure", { className: "aw-rx-figure" }, caption, root),
  };
};

// Draws the molecules anew.
export const drawMolecules = (panel, molecules) => {
  const { places, gaps, width, height } = layOut(molecules, WIDEST);
  const at = ({ x, y }) => ({ x: EDGE + BOND * x, y: EDGE + BOND * y });
  const size = [width, height].map((length) => 2 * EDGE + BOND * length);
  panel.root.setAttribute("viewBox", `0 0 ${size.map((length) => fixed(length)).join(" ")}`);
  panel.root.style.width = `${fixed(size[0])}px`;
  panel.places = places.map(at);
  panel.atoms = molecules.atoms.map((atom, k) =>
    atomNode(atom, panel.places[k], freePlace(panel.places, k)),
  );
  panel.root.replaceChildren(
    ...molecules.bonds.map((bond) => bondNode(bond, panel.places)),
    ...aromaticCircles(molecules, panel.places),
    ...gaps.map((gap) => text("aw-rx-plus", "+", at(gap))),
    ...panel.atoms.map(({ node }) => node),
  );
};

const text = (name, content, { x, y }) => {
  const node = svg("text", { class: name, x: fixed(x), y: fixed(y) });
  node.textContent = content;
  return node;
};

const bondNode = ({ a, b, order }, places) => {
  const [p, q] = [places[a], places[b]];
  const length = Math.hypot(q.x - p.x, q.y - p.y) || 1;
  const [across, down] = [-(q.y - p.y) / length, (q.x - p.x) / length];
  const count = Math.floor(order);
  const lines = Array.from({ length: count }, (_, k) => {
    const shift = 4.5 * (k - (count - 1) / 2);
    const ends = [p, q].map(
      ({ x, y }) => `${fixed(x + shift * across)} ${fixed(y + shift * down)}`,
    );
    return `M${ends.join("L")}`;
  });
  return svg("path", { class: "aw-rx-bond", d: lines.join("") });
};

// A ring of aromatic bonds has a circle in it.
const aromaticCircles = ({ rings, bonds }, places) => {
  const isAromatic = (ring) =>
    bonds.filter(({ a, b, order }) => order === 1.5 && ring.includes(a) && ring.includes(b))
      .length >= ring.length;
  return rings.filter(isAromatic).map((ring) => {
    const points = ring.map((atom) => places[atom]);
    const middle = (name) => points.reduce((sum, p) => sum + p[name], 0) / points.length;
    const [cx, cy] = [middle("x"), middle("y")];
    const radius = Math.min(...points.map(({ x, y }) => Math.hypot(x - cx, y - cy)));
    return svg("circle", { class: "aw-rx-bond", cx, cy, r: Math.max(4, radius - DISC - 6) });
  });
};

// Where a mark beside an atom is farthest from all other atoms.
const freePlace = (places, atom) => {
  const { x, y } = places[atom];
  const tried = Array.from({ length: 16 }, (_, k) => {
    const angle = (k * Math.PI) / 8 - Math.PI / 4; // to the upper right if all are free
    const place = { x: x + OUT * Math.cos(angle), y: y + OUT * Math.sin(angle) };
    const far = places.map((p, other) =>
      other === atom ? 4 * OUT : Math.hypot(p.x - place.x, p.y - place.y),
    );
    return { place, room: Math.min(4 * OUT, ...far) };
  });
  return tried.reduce((best, now) => (now.room > best.room + 1e-6 ? now : best)).place;
};

const atomNode = (atom, { x, y }, beside) => {
  const label = labelOf(atom);
  const parts = {
    halo: svg("circle", { class: "aw-rx-halo", cx: x, cy: y, r: DISC + 3 }),
    disc: svg("circle", { class: "aw-rx-disc", cx: x, cy: y, r: DISC }),
    letter: text("aw-rx-letter", label, { x, y }),
    mark: text("aw-rx-mark", "", beside),
  };
  if (label.length > 2) parts.letter.classList.add("aw-rx-long");
  return { ...parts, node: svg("g", {}, ...Object.values(parts)) };
};

const small = (number, digits) =>
  [...String(number)].map((digit) => digits[Number(digit)]).join("");
const lowered = (number) => small(number, "₀₁₂₃₄₅₆₇₈₉");
const raised = (number) => small(number, "⁰¹²³⁴⁵⁶⁷⁸⁹");
const repeated = (count, write) => (count > 1 ? write(count) : "");

// The atom as chemists write it: ¹³C, NH₃⁺. Hydrogen is shown where the text does.
export const labelOf = ({ element: name, isotope, hydrogens, charge }) => {
  const mass = isotope ? raised(isotope) : "";
  const hydrogen = hydrogens ? `H${repeated(hydrogens, lowered)}` : "";
  const size = repeated(Math.abs(charge), raised);
  return `${mass}${name}${hydrogen}${size}${charge ? (charge > 0 ? "⁺" : "⁻") : ""}`;
};

// Shows for each atom a weight as a shade (null: none), a small mark, and a ring of a kind:
// "asks", "best", "right", "wrong" or "".
export const paintAtoms = (panel, shades, looks) => {
  panel.atoms.forEach(({ halo, disc, letter, mark }, k) => {
    const { weight, sign, ring } = looks[k];
    halo.setAttribute("class", `aw-rx-halo${ring && ` aw-rx-${ring}`}`);
    disc.style.fill = weight === null ? "" : shades.of(weight);
    letter.style.fill = weight === null ? "" : shades.inkOn(weight);
    mark.textContent = sign;
  });
};

// The atom under the pointer, or null.
export const atomUnder = ({ root, places }, event) => {
  const area = root.getBoundingClientRect();
  const scale = root.viewBox.baseVal.width / area.width;
  const [x, y] = [(event.clientX - area.left) * scale, (event.clientY - area.top) * scale];
  const far = places.map((p) => Math.hypot(p.x - x, p.y - y));
  const nearest = far.indexOf(Math.min(...far));
  return far[nearest] < BOND * 0.55 ? nearest : null;
};

// Makes a side answer: pointing shows, clicking or Enter pins, arrow keys go from atom to atom.
export const listenOnAtoms = (panel, { onPoint, onPin, present }) => {
  const { root } = panel;
  root.setAttribute("tabindex", "0");
  root.setAttribute("role", "application");
  root.setAttribute("aria-roledescription", "molecule");
  root.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") onPoint(atomUnder(panel, event));
  });
  root.addEventListener("pointerleave", () => onPoint(null));
  root.addEventListener("blur", () => onPoint(null));
  root.addEventListener("click", (event) => onPin(atomUnder(panel, event)));
  root.addEventListener("keydown", (event) => {
    const [now, last] = [present() ?? -1, panel.atoms.length - 1];
    if (event.key === "Enter" || event.key === " ") onPin(Math.max(now, 0));
    else if (event.key === "Escape") onPin(null);
    else {
      const steps = {
        ...{ ArrowRight: now + 1, ArrowDown: now + 1, ArrowLeft: now - 1, ArrowUp: now - 1 },
        ...{ Home: 0, End: last },
      };
      if (!(event.key in steps)) return;
      onPoint(clamp(steps[event.key], 0, last));
    }
    event.preventDefault();
  });
};
