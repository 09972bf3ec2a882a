// What a reader takes away as text: a link that reopens this state, the Python that rebuilds it.

// "#cue-explorer?salience_gain=1.5&use=%22read%22": the widget's name, then its changed controls,
// each as JSON.
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

const isOnStep = (value, { min, step }) => {
  if (typeof step !== "number") return true; // "any", or a list of numbers without steps
  const steps = (value - min) / step;
  return Math.abs(steps - Math.round(steps)) < 1e-6;
};

const isText = (value, { max, pattern = ".*" }) =>
  value.trim() !== "" && value.length <= max && new RegExp(`^(?:${pattern})$`, "su").test(value);

// A link can say anything: only values that the control itself could have produced are taken over.
export const fits = (spec, value, present) => {
  const isNumber = (v) =>
    typeof v === "number" && v >= spec.min && v <= spec.max && isOnStep(v, spec);
  switch (spec.kind) {
    case "number":
      return isNumber(value);
    case "numbers":
      return Array.isArray(value) && value.length === present.length && value.every(isNumber);
    case "choice":
      return spec.options.includes(value);
    case "switch":
      return typeof value === "boolean";
    case "text":
      return typeof value === "string" && isText(value, spec);
    default:
      return false;
  }
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

// For a widget whose data do not fit into a line: sets the controls of the one in the cell, all of
// them, since the cell may have set any. Those that these data leave without effect are `hidden`.
export const pythonForCell =
  (variable, hidden = []) =>
  (className, _changed, all) =>
    [
      `# ${variable} is the ${className} of this cell: ` +
        "it has data of its own, which are not in here",
      ...Object.entries(all)
        .filter(([name]) => !hidden.includes(name))
        .map(([name, value]) => `${variable}.${name} = ${pythonLiteral(value)}`),
    ].join("\n");

export const copyText = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // pages opened from disk and older browsers refuse
  }
};
