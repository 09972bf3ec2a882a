// The picture that a reader saves: the box as it is seen, without what only works when pressed.
//
// A copy of the box, in which every element carries its computed style, is put into an SVG as
// foreignObject, and that is drawn as an image. Such an image may load nothing, so canvases go
// along as data URLs. So does the SVG: from a blob it would make the canvas unreadable.
import { element, setAll, svg } from "./dom.js";

const PICTURE_SCALE = 2; // dots for each CSS pixel
// Buttons go. But one that is pressed or not is a setting, like a check box, one with a drawing
// shows that, and one with a class of its own is part of a drawing.
const LEFT_OUT = [
  ".aw-goals",
  ".aw-tools",
  ".aw-note",
  ".aw-status:empty",
  ".aw-visually-hidden",
  'button:not([aria-pressed], [class^="aw-"], :has(canvas, svg))',
].join(", ");

export const pictureOf = async (box) => {
  try {
    return await pngOf(await imageOfBox(box));
  } catch {
    return pngOf(await sheetOfDrawings(box)); // a browser that does not draw foreignObject
  }
};

const pngOf = async (image) => {
  const sheet = element("canvas", { width: image.width, height: image.height });
  sheet.getContext("2d").drawImage(image, 0, 0);
  return new Promise((done) => sheet.toBlob(done, "image/png"));
};

const imageOfBox = async (box) => {
  const workshop = openWorkshop();
  try {
    const copy = styledCopy(box, new Map(), workshop);
    Object.assign(copy.style, { margin: 0, border: "none", borderRadius: 0, boxShadow: "none" });
    workshop.root.append(copy);
    const { width, height } = extentOf(copy);
    const holder = svg("foreignObject", { width: "100%", height: "100%" }, copy);
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}` }, holder);
    const image = await imageOfSvg(root, width, height);
    // Safari decodes the images inside an image only after it has called the whole decoded.
    await new Promise((done) => setTimeout(done, 100));
    return image;
  } finally {
    workshop.close();
  }
};

const imageOfSvg = async (root, width, height) => {
  setAll(root, {
    width: width * PICTURE_SCALE,
    height: height * PICTURE_SCALE,
  });
  Object.assign(root.style, { width: "", height: "" }); // they would win over the attributes
  const text = new XMLSerializer().serializeToString(root);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  return image;
};

// ---- the copy

// A corner of the page that no style sheet reaches: here an element shows its tag's own style.
const openWorkshop = () => {
  const host = element("div");
  host.style.cssText = "all: initial; position: absolute; left: -99999px;";
  const root = host.attachShadow({ mode: "open" });
  document.body.append(host);
  // Without the browsers' own properties and without those that name others again.
  const names = [...getComputedStyle(host)].filter((name) => !/^-|block|inline/.test(name));
  const stylesOf = (style) => new Map(names.map((name) => [name, style.getPropertyValue(name)]));
  const known = new Map();
  const defaultsOf = (node) => {
    if (!known.has(node.localName)) {
      const probe = document.createElementNS(node.namespaceURI, node.localName);
      root.append(probe);
      known.set(node.localName, stylesOf(getComputedStyle(probe)));
      probe.remove();
    }
    return known.get(node.localName);
  };
  return { root, stylesOf, defaultsOf, close: () => host.remove() };
};

// What has to be written down: what the tag does not bring along and what the parent does not
// hand down (which properties are handed down need not be known for that), and how lines break,
// which the copy of the parent may do otherwise.
const styleText = (styles, defaults, parentStyles) =>
  [...styles]
    .filter(
      ([name, value]) =>
        value !== defaults.get(name) ||
        value !== parentStyles.get(name) ||
        /^(white-space|text-wrap)/.test(name),
    )
    .map(([name, value]) => `${name}: ${value};`)
    .join(" ");

const styledCopy = (node, parentStyles, workshop) => {
  const copy = bareCopy(node);
  const styles = workshop.stylesOf(getComputedStyle(node));
  copy.setAttribute("style", styleText(styles, workshop.defaultsOf(copy), parentStyles));
  copy.append(
    ...pseudoCopy(node, "::before", styles, workshop),
    ...[...node.childNodes].flatMap((child) => childCopies(child, styles, workshop)),
    ...pseudoCopy(node, "::after", styles, workshop),
  );
  // something is missing in it, so it is no longer as high as it was
  if (node.querySelector(`${LEFT_OUT}, .aw-controls`))
    Object.assign(copy.style, { height: "auto", gridTemplateRows: "none" });
  if (isOneLine(node)) copy.style.whiteSpace = "nowrap";
  return copy;
};

// Letters are a trace wider in the enlarged image: a line that just fitted would break.
const isOneLine = (node) => {
  const range = document.createRange();
  const texts = [...node.childNodes].filter(
    (child) => child.nodeType === Node.TEXT_NODE && child.data.trim(),
  );
  const lines = texts.map((text) => {
    range.selectNode(text);
    return range.getClientRects().length;
  });
  return lines.length > 0 && lines.every((count) => count === 1);
};

const childCopies = (child, parentStyles, workshop) => {
  if (child.nodeType === Node.TEXT_NODE) return [printable(child.data)];
  if (child.nodeType !== Node.ELEMENT_NODE || child.matches(LEFT_OUT)) return [];
  if (child.matches(".aw-controls")) return settingsLine(child);
  const isHidden = child instanceof HTMLElement && getComputedStyle(child).display === "none";
  return isHidden ? [] : [styledCopy(child, parentStyles, workshop)];
};

// The element without children and without a class, in the state that only its properties hold.
const bareCopy = (node) => {
  if (node instanceof HTMLCanvasElement && node.width && node.height)
    return element("img", { src: node.toDataURL() });
  const copy = node.cloneNode(false);
  copy.removeAttribute("class");
  if (node instanceof HTMLInputElement) {
    copy.setAttribute("value", node.value);
    copy.toggleAttribute("checked", node.checked);
    if (node.type === "number") copy.type = "text"; // no room for arrows that nobody can press
  }
  if (node instanceof HTMLOptionElement) copy.toggleAttribute("selected", node.selected);
  return copy;
};

// What a style sheet puts before or after an element becomes an element.
const pseudoCopy = (node, which, parentStyles, workshop) => {
  const computed = getComputedStyle(node, which);
  const content = computed.content.match(/^"(.*)"$/);
  if (!content) return []; // "none" or "normal"
  const styles = workshop.stylesOf(computed);
  const copy = element("span", { textContent: content[1] });
  copy.setAttribute("style", styleText(styles, workshop.defaultsOf(copy), parentStyles));
  return [copy];
};

// XML takes no control characters; a label from Python may hold one.
const printable = (text) => text.replace(/[^\P{Cc}\t\n\r]/gu, "");

// "query gain: 0.50 · kernel: gaussian": what the controls above the drawing say.
const settingsLine = (controls) => {
  const rows = [...controls.querySelectorAll(".aw-field")].filter((row) => row.offsetHeight);
  const settings = rows.map((row) => {
    const [label, input] = [
      row.querySelector("label"),
      row.querySelector("input, select, textarea"),
    ];
    const shown = row.querySelector(".aw-value")?.textContent || valueShown(input);
    return `${label.textContent}: ${shown}`;
  });
  if (!settings.length) return [];
  const line = element("p", { textContent: printable(settings.join(" · ")) });
  line.style.cssText = "margin: 0 0 10px; font-size: 0.93em;";
  return [line];
};

const valueShown = (input) => {
  if (input.type === "checkbox") return input.checked ? "on" : "off";
  return input.selectedOptions?.[0]?.textContent ?? input.value;
};

// Up to the last thing on the right, and as high as the copy is now.
const extentOf = (copy) => {
  const area = copy.getBoundingClientRect();
  const range = document.createRange();
  const edges = leavesOf(copy).map((leaf) => {
    range.selectNode(leaf);
    return range.getBoundingClientRect().right;
  });
  const padding = parseFloat(copy.style.paddingRight);
  const width = Math.min(area.width, Math.max(...edges) - area.left + padding);
  return { width: Math.floor(width), height: Math.floor(area.height) }; // no rim of half a dot
};

// What is to be seen at the right edge: words, drawings, inputs, and whatever has a border.
const leavesOf = (node) => {
  const isWhole = node instanceof SVGElement || node.style?.borderBottomStyle === "solid";
  return node.childNodes.length && !isWhole ? [...node.childNodes].flatMap(leavesOf) : [node];
};

// ---- without foreignObject: every canvas and SVG marked data-export where it stands

const sheetOfDrawings = async (box) => {
  const area = box.getBoundingClientRect();
  const sheet = element("canvas", {
    width: area.width * PICTURE_SCALE,
    height: area.height * PICTURE_SCALE,
  });
  const context = sheet.getContext("2d");
  context.scale(PICTURE_SCALE, PICTURE_SCALE);
  const { backgroundColor, color } = getComputedStyle(box);
  context.fillStyle = backgroundColor;
  context.fillRect(0, 0, area.width, area.height);
  context.fillStyle = color;
  context.imageSmoothingEnabled = false;
  for (const text of box.querySelectorAll("[data-export-text], figcaption, .aw-title")) {
    const { left, bottom } = text.getBoundingClientRect();
    const { fontWeight, fontSize, fontFamily } = getComputedStyle(text);
    context.font = `${fontWeight} ${fontSize} ${fontFamily}`;
    context.fillText(text.textContent, left - area.left, bottom - area.top - 4);
  }
  for (const node of box.querySelectorAll("[data-export]")) {
    const { left, top, width, height } = node.getBoundingClientRect();
    if (!width) continue;
    const source = node instanceof SVGElement ? await imageOfDrawing(node, width, height) : node;
    context.drawImage(source, left - area.left, top - area.top, width, height);
  }
  return sheet;
};

const imageOfDrawing = (node, width, height) => {
  const workshop = openWorkshop();
  const copy = styledCopy(node, new Map(), workshop);
  workshop.close();
  return imageOfSvg(copy, width, height);
};
