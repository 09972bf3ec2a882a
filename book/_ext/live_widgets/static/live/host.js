/* Runs anywidget modules in the rendered book: no kernel, no server, no dependency.
 *
 * MyST-NB writes one script with the state of all widgets of a page and one view script per output.
 * live_widgets/__init__.py has written each widget's module and style sheet into a script beside
 * this file; a model's _front_end names it. So it has with the files that a widget may ask for, in
 * pieces; a model's _files names them. */
{
  // a block, so that the page's other scripts do not see these names; a module would not load from
  // a file on disk
  const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
  const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';
  const folder = new URL(".", document.currentScript.src);
  // What the scripts bring, by their names: a front end's { style, define }, a piece's base64.
  window.liveParts = {};

  const runScript = (name) =>
    new Promise((resolve, reject) => {
      const onerror = () => reject(new Error(`the script ${name}.js is not there`));
      // some networks answer with a page of their own
      const onload = () => (name in window.liveParts ? resolve(window.liveParts[name]) : onerror());
      const src = new URL(`${name}.js`, folder);
      document.head.append(
        Object.assign(document.createElement("script"), { src, onload, onerror }),
      );
    });
  const parts = new Map(); // name -> promise of what the script brings
  const partOf = (name) => {
    if (!parts.has(name)) parts.set(name, runScript(name));
    parts.get(name).catch(() => parts.delete(name)); // it may be there the next time
    return parts.get(name);
  };

  // Fetches a front end and takes it into use: its style sheet, and what its module exports.
  const fetchFrontEnd = async (name) => {
    const { style, define } = await partOf(name);
    document.head.append(Object.assign(document.createElement("style"), { textContent: style }));
    return define();
  };
  const frontEnds = new Map(); // name -> promise of the module's definition
  const load = (name) => {
    if (!frontEnds.has(name)) frontEnds.set(name, fetchFrontEnd(name));
    return frontEnds.get(name);
  };

  const bytesOf = (base64) => {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i); // ten times `from`'s speed
    return bytes;
  };

  // Puts a file together piece by piece, as long as it is wanted; a second try begins with the
  // pieces that are there.
  const loadFile = async ([, size, content, count], isWanted, tell) => {
    const bytes = new Uint8Array(size);
    for (let k = 0, at = 0; k < count && isWanted(); k++) {
      const piece = bytesOf(await partOf(`${content}-${k}`));
      bytes.set(piece, at);
      at += piece.length;
      if (isWanted())
        tell({ loaded: at / size }, k === count - 1 ? [new DataView(bytes.buffer)] : []);
    }
  };

  // The part of anywidget's model that works without a kernel.
  class Model {
    constructor(record) {
      this.state = { ...record.state };
      this.listeners = new Map();
      this.wanted = new Map(); // the last request of each file
      for (const { path, data } of record.buffers ?? [])
        this.state[path[0]] = new DataView(bytesOf(data).buffer);
    }
    get(name) {
      return this.state[name];
    }
    set(name, value) {
      if (this.state[name] === value) return;
      this.state[name] = value;
      this.tell(`change:${name}`);
    }
    tell(event, ...what) {
      for (const listener of this.listeners.get(event) ?? []) listener(...what);
    }
    on(event, listener) {
      if (!this.listeners.has(event)) this.listeners.set(event, new Set());
      this.listeners.get(event).add(listener);
    }
    off(event, listener) {
      this.listeners.get(event)?.delete(listener);
    }
    save_changes() {} // nobody to tell
    // Answers what LiveWidget answers in a kernel: { file } wants a file, { file, cancel } no more.
    send(message) {
      const name = message.file;
      this.wanted.set(name, message);
      if (message.cancel) return;
      const isWanted = () => this.wanted.get(name) === message;
      const tell = (answer, buffers) => this.tell("msg:custom", { file: name, ...answer }, buffers);
      const file = this.state._files.find(([known]) => known === name);
      loadFile(file, isWanted, tell).catch((error) => {
        console.warn(error);
        if (isWanted())
          tell({ error: `A part of ${name} did not arrive. What has arrived is kept.` }, []);
      });
    }
  }

  const show = async (model, script) => {
    const el = document.createElement("div");
    script.before(el);
    try {
      const { render } = await load(model.get("_front_end"));
      await render({ model, el, signal: new AbortController().signal });
    } catch (error) {
      // the still picture that readers without JavaScript see is better than a hole in the page
      el.innerHTML = script.parentElement.querySelector("noscript")?.textContent ?? "";
      console.error(error);
    }
  };

  const readModels = () => {
    const models = new Map();
    for (const script of document.querySelectorAll(STATE))
      for (const [id, record] of Object.entries(JSON.parse(script.textContent).state))
        models.set(id, new Model(record));
    return models;
  };

  const start = async () => {
    const page = document.documentElement;
    page.dataset.liveHost = "starting";
    const models = readModels();
    const views = [...document.querySelectorAll(VIEW)].map((script) => {
      const model = models.get(JSON.parse(script.textContent).model_id);
      return model && show(model, script);
    });
    await Promise.all(views);
    page.dataset.liveHost = "ready";
  };
  // After the first frame: a reader sees the page before its widgets cost anything.
  const startAfterFrame = () => requestAnimationFrame(() => setTimeout(start));
  // "interactive" comes before deferred scripts run, DOMContentLoaded only after them
  if (document.readyState === "loading")
    document.addEventListener("readystatechange", startAfterFrame, { once: true });
  else startAfterFrame();
}
