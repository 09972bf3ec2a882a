import { clamp, element, fixed, setAll, svg } from "../widgets/kit/dom.js";
import { draggable } from "../widgets/kit/plot.js";
import { BOX, cellOf, SIDE } from "./compute.js";

// The scene in grey with the gate as colour over it, and a frame to hold for each object.

const nameOfObject = (n) => (n === 0 ? "the framed object" : `distractor ${n}`);

const place = (w, n, x, y) => {
  for (const [name, value] of [
    ["left", x],
    ["top", y],
  ])
    w.set(name, w.get(name).with(n, clamp(Math.round(value), 0, SIDE - BOX)));
};

const describe = ({ w, now }, n) => {
  const [x, y] = [w.get("left")[n], w.get("top")[n]];
  const name = nameOfObject(n);
  const where = `${x} pixels from the left, ${y} from the top`;
  return {
    name: `${name}, arrow keys move it`,
    value: x,
    min: 0,
    max: SIDE - BOX,
    text: `${name}: ${where}; ${fixed(now.share[0])} of the gate in the box`,
  };
};

const handleOf = (view, n, toData) => {
  const { w } = view;
  const className = n === 0 ? "aw-object aw-wanted" : "aw-object";
  const node = svg("rect", { width: BOX, height: BOX, class: className });
  let grip = [0, 0]; // where in the object the pointer took hold of it
  node.addEventListener("pointerdown", (event) => {
    const [x, y] = toData(event);
    grip = [x - w.get("left")[n], y - w.get("top")[n]];
  });
  const { announce } = draggable(w, { toData }, node, {
    move: (x, y) => place(w, n, x - grip[0], y - grip[1]),
    nudge: (dx, dy) => place(w, n, w.get("left")[n] + dx, w.get("top")[n] - dy),
    describe: () => describe(view, n),
  });
  return { node, announce };
};

// From ink on paper towards orange, the more the gate lets through; relative to its largest value.
const tinted = (ink, tint) => {
  const grey = clamp(255 * (0.95 - 0.85 * ink), 0, 255);
  const orange = [255 - 0.12 * (255 - grey), 120 + 0.3 * (grey - 120), 0.25 * grey];
  return orange.map((colour) => grey + tint * (colour - grey));
};

const paintScene = (context, image, { scene, side, now: { gate } }) => {
  const largest = Math.max(...gate);
  for (let k = 0; k < scene.length; k++) {
    const tint = (0.75 * gate[cellOf(Math.floor(k / SIDE), k % SIDE, side)]) / largest;
    image.data.set([...tinted(scene[k], tint), 255], 4 * k);
  }
  context.putImageData(image, 0, 0);
};

export const scenePanel = (view) => {
  const canvas = element("canvas", { width: SIDE, height: SIDE, ariaHidden: "true" });
  canvas.dataset.export = "";
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  const overlay = svg("svg", {
    viewBox: `0 0 ${SIDE} ${SIDE}`,
    role: "group",
    "aria-label": "Scene with objects to move",
  });
  const toData = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY);
    const { x, y } = point.matrixTransform(overlay.getScreenCTM().inverse());
    return [x, y];
  };
  const handles = view.w.get("left").map((_, n) => handleOf(view, n, toData));
  // the object comes last, on top, to be grasped first
  overlay.append(...handles.map(({ node }) => node).reverse());
  const frame = element("div", { className: "aw-scene" }, canvas, overlay);
  const textContent = "Scene, tinted by the gate (relative to its largest value)";
  const caption = element("figcaption", { textContent });
  return {
    node: element("figure", { className: "aw-scene-panel" }, caption, frame),
    draw() {
      paintScene(context, image, view);
      const { left, top } = view.state;
      for (const [n, { node }] of handles.entries()) setAll(node, { x: left[n], y: top[n] });
    },
    announce() {
      for (const handle of handles) handle.announce();
    },
  };
};
