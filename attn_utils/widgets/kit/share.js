import { element, setAll } from "./dom.js";

// What a reader takes away: a link that reopens this state, the Python that rebuilds it, a picture.

// "#cue-explorer?salience_gain=1.5&use=%22read%22": the widget's name, then its changed controls as JSON.
export const stateFromLink = (name) => {
  const [target, query] = location.hash.slice(1).split("?");
  if (target !== name || !query) return {};
  const state = {};
  for (const [key, text] of new URLSearchParams(query)) {
    try {
      state[key] = JSON.parse(text);
    } catch {
      // not ours, or cut off on its way: leave this control as it is
    }
  }
  return state;
};
export const linkTo = (name, state) => {
  const query = new URLSearchParams(Object.entries(state).map(([k, v]) => [k, JSON.stringify(v)]));
  return `${location.href.split("#")[0]}#${name}${Object.keys(state).length ? `?${query}` : ""}`;
};

export const pythonLiteral = (value) => {
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(", ")}]`;
  if (typeof value === "boolean") return value ? "True" : "False";
  return JSON.stringify(value); // numbers and strings are written alike in both languages
};
export const pythonFor = (className, state) => {
  const args = Object.entries(state).map(([name, value]) => `${name}=${pythonLiteral(value)}`);
  const call = args.join(", ").length < 70 ? args.join(", ") : `\n    ${args.join(",\n    ")},\n`;
  return `from attn_utils.widgets import ${className}\n\n${className}(${call})`;
};

export const copyText = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // pages opened from disk and older browsers refuse
  }
};

// Draws every canvas and SVG marked data-export where it stands on the page, at twice the size.
export const pictureOf = async (box) => {
  const scale = 2;
  const area = box.getBoundingClientRect();
  const sheet = element("canvas", { width: area.width * scale, height: area.height * scale });
  const g = sheet.getContext("2d");
  g.scale(scale, scale);
  const style = getComputedStyle(box);
  g.fillStyle = style.backgroundColor;
  g.fillRect(0, 0, area.width, area.height);
  g.fillStyle = style.color;
  g.imageSmoothingEnabled = false;
  for (const text of box.querySelectorAll("[data-export-text], figcaption, .aw-title")) {
    const r = text.getBoundingClientRect();
    const font = getComputedStyle(text);
    g.font = `${font.fontWeight} ${font.fontSize} ${font.fontFamily}`;
    g.fillText(text.textContent, r.left - area.left, r.bottom - area.top - 4);
  }
  for (const node of box.querySelectorAll("[data-export]")) {
    const r = node.getBoundingClientRect();
    if (!r.width) continue;
    const source = node instanceof SVGElement ? await rasterOf(node, r, scale) : node;
    g.drawImage(source, r.left - area.left, r.top - area.top, r.width, r.height);
  }
  return new Promise((done) => sheet.toBlob(done, "image/png"));
};
// An SVG outside its page has lost its style sheet, so the computed style goes along.
const rasterOf = async (node, { width, height }, scale) => {
  const copy = node.cloneNode(true);
  const kept = [
    "fill",
    "fill-opacity",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "opacity",
    "paint-order",
    "font-size",
    "font-family",
    "font-weight",
    "display",
  ];
  const [from, to] = [node, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  from.forEach((original, i) => {
    const style = getComputedStyle(original);
    for (const property of kept)
      to[i].style.setProperty(property, style.getPropertyValue(property));
  });
  setAll(copy, {
    width: width * scale,
    height: height * scale,
    xmlns: "http://www.w3.org/2000/svg",
  });
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
};
