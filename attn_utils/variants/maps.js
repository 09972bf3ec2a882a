// Where each head looks, and what is hidden from it: one map large, those of all heads small.
import { button } from "../widgets/kit/controls.js";
import { clamp, element, fixed } from "../widgets/kit/dom.js";
import { heatmap } from "../widgets/kit/heatmap.js";
import { colourRamp, cssColour } from "../widgets/kit/theme.js";

// The colours of weights; the first one is for what a window or a selection hides.
export const rampWithGrey = (box) => {
  const colours = colourRamp(box);
  const [red, green, blue] = cssColour(box, "--aw-hidden");
  colours[0] = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  return colours;
};
const LIGHTEST = 1.5 / 255; // of what is no grey

// A head's weights (rows, rows), at least the lightest colour, and 0 where a word is hidden.
export const shadesOf = (weights, allowed, rows) =>
  Float32Array.from(weights, (weight, at) => {
    const isHidden = at % rows <= Math.floor(at / rows) && !allowed[at];
    return isHidden ? 0 : Math.max(weight, LIGHTEST);
  });

// ---- the large map; choosing a row lets its word ask

export const largeMap = (w, rows, wordAt) => {
  const parts = { values: null, allowed: null };
  const map = heatmap(w, {
    rows,
    columns: rows,
    width: 264,
    label: "Attention",
    ramp: rampWithGrey,
    nameOf: (i, j) => {
      const pair = `From ${wordAt(i)} (${i}) to ${wordAt(j)} (${j})`;
      if (j > i) return `${pair}: it comes later`;
      const at = i * rows + j;
      return parts.allowed?.[at] === 0
        ? `${pair}: hidden`
        : `${pair}: ${fixed(parts.values?.[at] ?? 0, 3)}`;
    },
    onPress(i) {
      w.set("query", i);
      w.commit();
    },
  });
  const caption = map.node.querySelector("figcaption");
  return {
    node: map.node,
    draw(values, allowed, shades, { layer, head, query }) {
      Object.assign(parts, { values, allowed });
      caption.textContent = `Layer ${layer}, head ${head}: rows ask, grey is hidden`;
      map.draw(shades);
      map.mark(query);
    },
  };
};

// ---- the small maps

export const smallMaps = (w, layers, heads, rows) => {
  const maps = [];
  const label = { role: "group", ariaLabel: "maps, one for each head" };
  const table = element("div", { className: "aw-maps", ...label });
  for (let layer = 1; layer <= layers; layer++) {
    table.append(element("span", { className: "aw-layer-name", textContent: `Layer ${layer}` }));
    for (let head = 1; head <= heads; head++) {
      maps.push(smallMap(w, layer, head, rows));
      table.append(maps.at(-1).node);
    }
  }
  return {
    node: table,
    // `shadesOfHead(layer, head)` is what a map shows; `groups` of heads share keys and values.
    draw(shadesOfHead, { layer, head, groups }, colours) {
      for (const map of maps) {
        paintSmall(map.picture, shadesOfHead(map.layer, map.head), colours);
        map.node.ariaPressed = String(map.layer === layer && map.head === head);
        const shared = Math.floor(((map.head - 1) * groups) / heads) + 1;
        map.note.textContent = groups < heads ? `keys ${shared}` : "";
        map.node.ariaLabel =
          `Layer ${map.layer}, head ${map.head}` +
          (groups < heads ? `, keys and values ${shared} of ${groups}` : "");
      }
    },
  };
};

const smallMap = (w, layer, head, rows) => {
  const picture = element("canvas", { width: rows, height: rows, className: "aw-tiny" });
  const show = () => {
    w.set("layer", layer);
    w.set("head", head);
    w.commit();
  };
  const node = button("", show, { className: "aw-map" });
  const note = element("small");
  node.append(picture, element("span", { textContent: `head ${head}` }), note);
  return { layer, head, picture, node, note };
};

const paintSmall = (canvas, shades, colours) => {
  const image = new ImageData(canvas.width, canvas.height);
  const words = new Uint32Array(image.data.buffer);
  for (let k = 0; k < words.length; k++) words[k] = colours[clamp(255 * shades[k], 0, 255) | 0];
  canvas.getContext("2d").putImageData(image, 0, 0);
};
