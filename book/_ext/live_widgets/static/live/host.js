/* Runs anywidget modules in the rendered book: no kernel, no server, no dependency.
 *
 * MyST-NB writes one script with the state of all widgets of a page and one view script per output.
 * live_widgets/__init__.py has put each module and style sheet into the page once, as a text script
 * whose id is a hash; a model's _esm and _css name it ("live:<hash>"). */
{
  // a block, so that the page's other scripts do not see these names; a module would not load from
  // a file on disk
  const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
  const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';
  const textOf = (reference) => document.getElementById(reference.replace(":", "-")).textContent;

  const importText = async (text) => {
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const module = await import(url);
    URL.revokeObjectURL(url);
    return module.default;
  };
  const modules = new Map(); // reference -> promise of the module's definition
  const load = (reference) => {
    if (!modules.has(reference)) modules.set(reference, importText(textOf(reference)));
    return modules.get(reference);
  };

  const viewOf = (base64) => {
    const text = atob(base64);
    return new DataView(Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer);
  };

  // The part of anywidget's model that works without a kernel.
  class Model {
    constructor(record) {
      this.state = { ...record.state };
      this.listeners = new Map();
      for (const { path, data } of record.buffers ?? []) this.state[path[0]] = viewOf(data);
    }
    get(name) {
      return this.state[name];
    }
    set(name, value) {
      if (this.state[name] === value) return;
      this.state[name] = value;
      for (const listener of this.listeners.get(`change:${name}`) ?? []) listener();
    }
    on(event, listener) {
      if (!this.listeners.has(event)) this.listeners.set(event, new Set());
      this.listeners.get(event).add(listener);
    }
    off(event, listener) {
      this.listeners.get(event)?.delete(listener);
    }
    save_changes() {} // nobody to tell
  }

  const addStyle = (reference) => {
    const id = `style-${reference}`;
    if (document.getElementById(id)) return;
    const textContent = textOf(reference);
    document.head.append(Object.assign(document.createElement("style"), { id, textContent }));
  };

  const show = async (model, script) => {
    addStyle(model.get("_css"));
    const el = document.createElement("div");
    script.before(el);
    try {
      const { render } = await load(model.get("_esm"));
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
  // "interactive" comes before deferred scripts (MathJax) run, DOMContentLoaded only after them
  if (document.readyState === "loading")
    document.addEventListener("readystatechange", start, { once: true });
  else start();
}
