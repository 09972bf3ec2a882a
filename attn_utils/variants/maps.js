// Where each head looks, and what is hidden from it: one map large, those of all heads small.
import { button } from "../widgets/kit/controls.js";
import { element, fixed } from "../widgets/kit/dom.js";
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

// The weights of all heads, at least the lightest colour, and 0 where a word is hidden.
export const colouredParts = ({ weights, allowed }, heads, rows) => {
  const shades = new Float32Array(weights.length).fill(LIGHTEST);
  const square = rows * rows;
  for (let map = 0; map * square < weights.length; map++) {
    const [from, mask] = [map * square, Math.floor(map / heads) * square];
    for (let i = 0; i < rows; i++)
      for (let at = i * rows; at <= i * rows + i; at++)
        shades[from + at] = allowed[mask + at] ? Math.max(weights[from + at], LIGHTEST) : 0;
  }
  return shades;
};

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
    // Shows the shades of all heads, one after the other.
    paint(shades, colours) {
      maps.forEach((map, k) => {
        paintSmall(map, shades.subarray(k * rows * rows, (k + 1) * rows * rows), colours);
      });
    },
    // `groups` of heads share keys and values.
    mark({ layer, head, groups }) {
      for (const map of maps) {
        map.node.ariaPressed = String(map.layer === layer && map.head === head);
        const shared = Math.floor(((map.head - 1) * groups) / heads) + 1;
        map.note.textContent = `keys ${shared}`;
        const own = `keys and values ${shared} of ${groups}`;
        map.node.ariaLabel = `Layer ${map.layer}, head ${map.head}, ${own}`;
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
  const image = new ImageData(rows, rows);
  node.append(picture, element("span", { textContent: `head ${head}` }), note);
  return { layer, head, picture, image, node, note };
};

const paintSmall = ({ picture, image }, shades, colours) => {
  const words = new Uint32Array(image.data.buffer);
  for (let k = 0; k < words.length; k++) words[k] = colours[(255 * shades[k]) | 0];
  picture.getContext("2d").putImageData(image, 0, 0);
};
