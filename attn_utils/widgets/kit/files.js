// Files that are loaded when the reader asks for them: the host of the page and LiveWidget in a
// kernel answer the same messages.
import { button } from "./controls.js";
import { element } from "./dom.js";

// Loads one of the widget's files: a promise of its bytes, a DataView. `onProgress` hears how much
// of it is there, from 0 to 1.
export const loadFile = (w, name, { onProgress = () => {}, signal } = {}) =>
  new Promise((resolve, reject) => {
    const { model } = w;
    const finish = (settle, value) => {
      model.off("msg:custom", hear);
      signal?.removeEventListener("abort", cancel);
      settle(value);
    };
    const hear = ({ file, loaded, error }, buffers) => {
      if (file !== name) return;
      if (error) finish(reject, new Error(error));
      else if (buffers?.length) finish(resolve, buffers[0]);
      else onProgress(loaded);
    };
    const cancel = () => {
      model.send({ file: name, cancel: true });
      finish(reject, new Error("Stopped."));
    };
    signal?.addEventListener("abort", cancel);
    model.on("msg:custom", hear);
    model.send({ file: name });
  });

const sizeOf = (w, name) => {
  const [, bytes] = w.model.get("_files").find(([known]) => known === name);
  return bytes < 950_000 ? `${Math.round(bytes / 1000)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
};
const PATIENCE = 5000; // milliseconds without a sign of life
const SILENCE = "No answer yet: the kernel is busy with another cell, or it is not running.";

// The offer to load a file: a button, then a bar with "Cancel", and if it fails a sentence and the
// button again. It goes when `use(bytes)` has taken the file.
export const fileOffer = (w, name, { what, use }) => {
  const note = element("span", { role: "status" });
  const bar = element("progress", { max: 1, ariaLabel: `loading the ${what}`, hidden: true });
  const start = button(`Load the ${what} (${sizeOf(w, name)})`, () => load());
  const stop = button("Cancel", () => trial.abort(), { hidden: true });
  const node = element("div", { className: "aw-file" }, start, bar, stop, note);
  let trial; // the AbortController of the present one
  const show = (isLoading, text) => {
    start.hidden = isLoading;
    bar.hidden = stop.hidden = !isLoading;
    note.textContent = text;
    (isLoading ? stop : start).focus();
  };
  const load = async () => {
    trial = new AbortController();
    bar.removeAttribute("value"); // nothing is known yet
    show(true, "");
    const silent = setTimeout(() => {
      note.textContent = SILENCE;
    }, PATIENCE);
    const onProgress = (loaded) => {
      clearTimeout(silent);
      bar.value = loaded;
    };
    try {
      await use(await loadFile(w, name, { onProgress, signal: trial.signal }));
      node.remove();
    } catch (error) {
      start.textContent = `Try again (${sizeOf(w, name)})`;
      show(false, error.message);
    }
    clearTimeout(silent);
  };
  return node;
};
